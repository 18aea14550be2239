"""Pairs whose labels are people's votes: the shares of the votes for either image and for a tie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmol.data.data_set import DataSet
from lmol.data.evaluation_pairs import Sample, turned
from lmol.data.pairs_table import SHARES, WEIGHT, Indices, labelled_pairs
from lmol.errors import DataError
from lmol.verdict import most_probable


@dataclass(frozen=True, kw_only=True)
class VotedPairs:
    """Policy that takes every compared pair of a set of images, weighted by its number of votes.

    Weights have the mean 1. A comparison between images of different parts of a fold is not used.
    """

    def num_dropped(self, data: DataSet, parts: Sequence[pd.DataFrame]) -> int:
        """Return the number of comparisons between images of different parts."""
        kept = sum(int(_inside(data, images)[0].sum()) for images in parts)
        return len(_comparisons(data)) - kept

    def training(
        self, data: DataSet, images: pd.DataFrame, theta: float, seed: int
    ) -> pd.DataFrame:
        """Return the compared pairs of these images, in a random order."""
        pairs = _compared(data, images)
        return pairs.sample(frac=1.0, random_state=seed).reset_index(drop=True)

    def evaluation(
        self, data: DataSet, images: pd.DataFrame, theta: float, sample: Sample
    ) -> pd.DataFrame:
        """Return the compared pairs of these images, or a random sample of them."""
        pairs = _compared(data, images)
        if sample.num is None or sample.num >= len(pairs):
            return pairs
        return (
            pairs.sample(sample.num, random_state=sample.seed).sort_index().reset_index(drop=True)
        )


def _compared(data: DataSet, images: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs table of all comparisons between these images, each ordered by `turned`."""
    table = _comparisons(data)
    inside, first, second = _inside(data, images)
    if not inside.any():
        raise DataError(
            "data.source",
            got=f"no comparison between two of the {len(images)} images of a part of the fold",
            expected="comparisons within the training, validation and held-out images",
            remedy="add comparisons or lower fold.k",
        )
    first, second = first[inside], second[inside]
    votes = table.loc[inside, ["a", "b", "tie"]].to_numpy(dtype=np.float64)
    turn = turned(images["image"], first, second)
    votes = np.where(turn[:, None], votes[:, [1, 0, 2]], votes)
    first, second = np.where(turn, [second, first], [first, second])
    totals = votes.sum(axis=1)
    shares = votes / totals[:, None]
    pairs = labelled_pairs(images, first, second, most_probable(shares))
    pairs[SHARES], pairs[WEIGHT] = shares, totals / totals.mean()
    return pairs


def _comparisons(data: DataSet) -> pd.DataFrame:
    if data.comparisons is None:
        raise DataError(
            "data.schedule",
            got="votes, for a source without comparisons",
            expected="a source whose pairs people have compared",
            remedy="set data/schedule=interval, whose labels come from scores",
        )
    return data.comparisons


def _inside(data: DataSet, images: pd.DataFrame) -> tuple[NDArray[np.bool_], Indices, Indices]:
    """Return which comparisons are between these images, and the rows of both; -1 for others."""
    table, row = _comparisons(data), pd.Index(images["image"])
    first, second = row.get_indexer(table["image_a"]), row.get_indexer(table["image_b"])
    return (first >= 0) & (second >= 0), first, second
