"""Judged pairs as arrays over the rows of a score table: the input of every diagnosis.

n images, P pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmol.evaluation.answers import Classes, Floats, average_orders, orders_agree
from lmol.evaluation.intervals import ImageBootstrap, Indices, mean_of_pairs, with_interval
from lmol.verdict import SCORE_DECIMALS, most_probable, verdict_indices

Booleans = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedPairs:
    """P pairs with their answers; each pair of images is in it at most once.

    first, second: rows of both images in a table of `num_images`, shape (P,). gap: |score1 -
    score2| in points of score, rounded as in the rule of the labels, shape (P,), or None without
    scores. truth: verdict index, shape (P,). averaged: shape (P, 3). right: whether the averaged
    answer is the label. consistent: whether the answers to both orders agree.
    """

    num_images: int
    first: Indices
    second: Indices
    gap: Floats | None
    truth: Classes
    averaged: Floats
    right: Booleans
    consistent: Booleans

    @classmethod
    def of(cls, pairs: pd.DataFrame, probabilities: Floats, images: pd.Series) -> JudgedPairs:
        """Return the pairs of the named images (n,), with probabilities (P, 2, 3), P > 0."""
        row = pd.Index(images)
        first, second = row.get_indexer(pairs["img1"]), row.get_indexer(pairs["img2"])
        assert len(pairs) > 0, "a diagnosis of no pairs"
        assert min(first.min(), second.min()) >= 0, "pairs are of images in the score table"
        truth, averaged = verdict_indices(pairs["label"]), average_orders(probabilities)
        return cls(
            num_images=len(images),
            first=first.astype(np.int64),
            second=second.astype(np.int64),
            gap=_gaps(pairs),
            truth=truth,
            averaged=averaged,
            right=most_probable(averaged) == truth,
            consistent=orders_agree(probabilities),
        )

    def accuracy(self, chosen: Booleans, bootstrap: ImageBootstrap) -> dict[str, float | None]:
        """Return accuracy, accuracy_low and accuracy_high of the chosen pairs; None without any."""
        value = float(self.right[chosen].mean()) if chosen.any() else None
        return with_interval("accuracy", value, self.accuracy_samples(chosen, bootstrap))

    def accuracy_samples(self, chosen: Booleans, bootstrap: ImageBootstrap) -> Floats:
        """Return accuracy of the chosen pairs in every resample of the images, shape (R,)."""
        right = self.right[chosen].astype(np.float64)
        return mean_of_pairs(bootstrap.counts, self.first[chosen], self.second[chosen], right)


def _gaps(pairs: pd.DataFrame) -> Floats | None:
    if "score1" not in pairs:
        return None
    signed = np.round((pairs["score1"] - pairs["score2"]).to_numpy(), SCORE_DECIMALS)
    return np.asarray(np.abs(signed))
