"""Data sets: images with scores or with people's comparisons of them, and their sources."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import pandas as pd

Labels = dict[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSet:
    """A data set. images: a table image, path[, score][, group][, subject].

    comparisons: a table image_a, image_b, a, tie, b; the last three are numbers of votes. None if
    pairs get their labels from scores.
    """

    images: pd.DataFrame
    comparisons: pd.DataFrame | None = None

    def describe(self) -> str:
        """Return the size of the data set in words."""
        parts = [f"{len(self.images)} images"]
        if "score" in self.images:
            low, high = self.images["score"].agg(["min", "max"])
            parts.append(f"scores {low:.2f} to {high:.2f}")
        if self.comparisons is not None:
            parts.append(f"{len(self.comparisons)} compared pairs")
        return ", ".join(parts)


class Source(Protocol):
    """Interface of the classes that `data.source` builds."""

    def load(self) -> DataSet:
        """Read the data set; raise DataError if it cannot be used."""


@runtime_checkable
class OfficialFolds(Protocol):
    """Interface of a source whose authors published folds."""

    def official_folds(self) -> list[tuple[Path, Labels, Path, Labels]]:
        """Return (training list, its labels, test list, its labels) of each fold."""


def data_hash(images: pd.DataFrame, comparisons: pd.DataFrame | None = None) -> str:
    """Return the SHA-256, in hex, of ids, scores, groups, votes and the images' sizes in bytes.

    It uses sizes, not contents: reading every byte of a large set would cost more than it is worth.
    """
    digest = hashlib.sha256()
    for row in images.itertuples():
        size = Path(str(row.path)).stat().st_size
        values = [repr(row.score)] if "score" in images else []
        values += [str(row.group)] if "group" in images else []
        digest.update("\t".join([str(row.image), *values, f"{size}\n"]).encode())
    if comparisons is not None:
        digest.update(comparisons.to_csv(index=False).encode())
    return digest.hexdigest()
