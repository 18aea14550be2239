"""The three answers, the rule that derives them from two scores, and what a swap does to them."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

SCORE_DECIMALS = 9
"""Gaps are rounded to so many decimals: scores carry six, and 3.0 - 2.8 > 0.2 in binary."""


class Verdict(IntEnum):
    """The class index of each answer; logits and probabilities stand in this order."""

    FIRST = 0
    SECOND = 1
    SIMILAR = 2

    @property
    def title(self) -> str:
        """The word in tables and CSV files: First, Second or Similar."""
        return self.name.capitalize()


TITLES = tuple(verdict.title for verdict in Verdict)

SWAPPED = (Verdict.SECOND, Verdict.FIRST, Verdict.SIMILAR)
"""SWAPPED[v] is the answer to (B, A) that agrees with the answer v to (A, B); its own inverse."""


def label_pairs(score1: ArrayLike, score2: ArrayLike, theta: float) -> NDArray[np.int64]:
    """Verdict index of each pair: Similar where |score1 - score2| <= theta, else the higher one.

    score1, score2: shape (P,), on the score scale, as is theta. Returns shape (P,).
    """
    gap = np.round(np.asarray(score1, float) - np.asarray(score2, float), SCORE_DECIMALS)
    higher = np.where(gap > 0, Verdict.FIRST, Verdict.SECOND)
    return np.where(np.abs(gap) <= theta, Verdict.SIMILAR, higher).astype(np.int64)


def verdict_indices(titles: ArrayLike) -> NDArray[np.int64]:
    """Verdict indices of the titles First, Second, Similar, in their shape (P,)."""
    matches = np.asarray(titles)[..., np.newaxis] == np.array(TITLES)
    assert matches.any(axis=-1).all(), f"labels are among {', '.join(TITLES)}"
    return matches.argmax(axis=-1).astype(np.int64)


def most_probable(distributions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the index of the largest share, shape (P, 3) to (P,); Similar if two are largest.

    argmax would settle a tie in favour of First, in both orders, and swap symmetry would be lost; a
    judge, or a vote, that prefers neither of two answers has not distinguished the images.
    """
    largest = distributions.max(axis=1, keepdims=True)
    tied = (distributions == largest).sum(axis=1) > 1
    return np.where(tied, Verdict.SIMILAR, distributions.argmax(axis=1)).astype(np.int64)
