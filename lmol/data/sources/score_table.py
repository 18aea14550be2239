"""Scored images of any kind, listed in a CSV file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lmol.data.data_set import DataSet
from lmol.data.formats import refuse_unread
from lmol.data.sources.label_file import BadLines, parse_score, repeated
from lmol.data.sources.table_file import read_rows
from lmol.errors import DataError


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """Source of any images with scores: a CSV with columns image, score and optionally group.

    image is a path relative to `root`, also outside of it if data.outside allows that; `table` is
    one relative to `root`, or an absolute one. subject: a further column with the person or object
    that an image shows; no fold separates images of one subject, and an image with an empty cell
    counts as a separate subject.
    """

    root: Path
    table: Path
    min_score: float
    max_score: float
    subject: str | None = None

    def load(self) -> DataSet:
        """Return images with their scores; raise DataError with file:line for bad rows."""
        found: dict[str, tuple[float, str, str]] = {}
        columns = ("image", "score", *([self.subject] if self.subject else ()))
        faults = BadLines(self._file())
        for number, row in read_rows(self._file(), columns, faults):
            with faults.at(number):
                if row["image"] in found:
                    raise repeated(row["image"])
                score = parse_score(row["score"], self.min_score, self.max_score)
                found[row["image"]] = score, row.get("group", ""), self._subject(row)
        faults.refuse()
        if not found:
            raise self._empty()
        root = Path(self.root).absolute()
        rows = [(image, str(root / image), *values) for image, values in found.items()]
        refuse_unread([path for _, path, *_ in rows])
        table = pd.DataFrame(rows, columns=["image", "path", "score", "group", "subject"])
        return DataSet(images=table if self.subject else table.drop(columns="subject"))

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
        """Return the file of `table`, in `root` or here; raise DataError if it does not exist."""
        root = Path(self.root).absolute()
        places = (root / self.table, Path(self.table).absolute())
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise DataError(
                "data.source.table",
                got=f"{self.table}, which is no file in {root} nor in {Path.cwd()}",
                expected=f"a CSV file, relative to {root}",
                remedy="set data.root and data.source.table",
            )
        return found
