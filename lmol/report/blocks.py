"""Parts of a page: sections of tables, figures, sentences and pairs of pictures.

Only drawn pictures hold markup; the template writes all other HTML and escapes every text. It has a
macro for each kind of block, named after the block's class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A table cell. text: shown; value: sort key; note: small print below; strong: emphasised."""

    text: str
    value: float | str | None = None
    note: str = ""
    strong: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table. columns: titles, the first for row headings; numeric: places of number columns.

    folded: closed until the reader opens it.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numeric: range = range(0)
    folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A drawing with the names of its series. legend: (class of the series, its name)."""

    title: str
    drawing: Markup
    legend: Sequence[tuple[str, str]] = ()
    wide: bool = False


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Drawings side by side, with one caption."""

    caption: str
    figures: Sequence[Figure]


@dataclass(frozen=True, kw_only=True)
class Text:
    """Sentences. refusal: they explain why something was not done."""

    sentences: Sequence[str]
    refusal: bool = False
    heading: str = ""


@dataclass(frozen=True, kw_only=True)
class Photo:
    """An image of the data by name; uri: data URI, or None where the file is gone."""

    name: str
    score: str
    uri: str | None


@dataclass(frozen=True, kw_only=True)
class PhotoPair:
    """Two images. caption: label and answer; shares: probabilities of the answers."""

    photos: Sequence[Photo]
    caption: str
    shares: str


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Pairs of images with one heading."""

    heading: str
    pairs: Sequence[PhotoPair]


@dataclass(frozen=True, kw_only=True)
class Image:
    """A drawn picture of a run, as a data URI."""

    title: str
    uri: str
    caption: str


Block = Table | Figures | Text | Gallery | Image


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page. key: its anchor."""

    key: str
    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)
