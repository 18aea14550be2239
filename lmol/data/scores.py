"""Sources of scored images; each `load()` returns the table image, path, score, group."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lmol.data.label_file import duplicate, parse_score, read_text
from lmol.data.scut import ScutFBP5500
from lmol.errors import DataError

__all__ = ["ScoreTable", "ScutFBP5500", "data_hash"]


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """Any images with scores: a CSV with columns image, score and optionally group.

    image is a path relative to `root`, or an absolute one; `table` likewise. subject: a further
    column, of the person or object that an image shows; no fold separates images of one subject,
    and an image with an empty cell is a subject of its own.
    """

    root: Path
    table: Path
    min_score: float
    max_score: float
    subject: str | None = None

    def load(self) -> pd.DataFrame:
        """The score table; raises DataError with file:line for a bad row."""
        rows, seen = [], set()
        for number, row in self._rows():
            where = f"{self._file()}:{number}"
            if row["image"] in seen:
                raise duplicate(where, row["image"])
            seen.add(row["image"])
            score = parse_score(where, row["score"], self.min_score, self.max_score)
            path = str(Path(self.root).absolute() / row["image"])
            rows.append((row["image"], path, score, row.get("group") or "", self._subject(row)))
        if not rows:
            raise self._empty()
        table = pd.DataFrame(rows, columns=["image", "path", "score", "group", "subject"])
        return table if self.subject else table.drop(columns="subject")

    def _subject(self, row: dict[str, str]) -> str:
        return (row[self.subject] if self.subject else "") or f"image {row['image']}"

    def _empty(self) -> DataError:
        return DataError(
            self._file(),
            got="no rows",
            expected="a header and one row for each image",
            remedy="add the images, or name another table with data.source.table",
        )

    def _file(self) -> Path:
        """`table` below `root`, or as given."""
        below = Path(self.root).absolute() / self.table
        return below if below.is_file() else Path(self.table).absolute()

    def _rows(self) -> list[tuple[int, dict[str, str]]]:
        path = self._file()
        if not path.is_file():
            raise DataError(
                "data.source.table",
                got=f"{self.table}, which is no file",
                expected=f"a CSV file, relative to {Path(self.root).absolute()}",
                remedy="set data.root and data.source.table",
            )
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
        needed = {"image", "score", *([self.subject] if self.subject else ())}
        missing = needed - set(reader.fieldnames or ())
        if missing:
            raise DataError(
                f"{path}:1",
                got=f"no column {', '.join(sorted(missing))}",
                expected="a header with image, score and optionally group",
                remedy="name the columns in the first line",
            )
        return [(reader.line_num, _whole(path, reader.line_num, row)) for row in reader]


def _whole(path: Path, number: int, row: dict[str, str | None]) -> dict[str, str]:
    """The row where every column has a value, or a DataError."""
    if None in row or row["image"] in (None, "") or row["score"] is None:
        raise DataError(
            f"{path}:{number}",
            got="a row that has not one value for each column",
            expected="as many values as the header has columns",
            remedy="correct the row; names with commas need quotes",
        )
    return {name: value or "" for name, value in row.items()}


def data_hash(scores: pd.DataFrame) -> str:
    """SHA-256, in hex, of ids, scores and groups and of the images' sizes in bytes.

    Sizes, not contents: reading every byte of a large set would cost more than it tells.
    """
    digest = hashlib.sha256()
    for row in scores.itertuples():
        size = Path(str(row.path)).stat().st_size
        digest.update(f"{row.image}\t{row.score!r}\t{row.group}\t{size}\n".encode())
    return digest.hexdigest()
