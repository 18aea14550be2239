"""The answers to judged pairs: both orders averaged, the most probable answer, tables of them.

P pairs. Probabilities have shape (P, 2, 3): [:, 0] as answered to (img1, img2), [:, 1] as answered
to (img2, img1), classes in the order of `Verdict`. "Averaged" ones have shape (P, 3), in the frame
of (img1, img2). Labels and predictions in tables are the titles First, Second, Similar.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import confusion_matrix

from lmol.verdict import SWAPPED, TITLES, Verdict, most_probable, verdict_indices

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]

PROBABILITIES = [f"p_{verdict.name.lower()}" for verdict in Verdict]
"""Columns of averaged probabilities in tables."""


def average_orders(probabilities: Floats) -> Floats:
    """Return the mean of both answers in the frame of (img1, img2): (P, 2, 3) to (P, 3).

    Asking the two images in the other order gives exactly the same numbers, exchanged.
    """
    return (probabilities[:, 0] + probabilities[:, 1][:, SWAPPED]) / 2.0


def win_share(averaged: Floats) -> Floats:
    """Return img1's share of a win, in [0, 1], a tie as half a win: shape (P, 3) to (P,).

    It equals p(First) + p(Similar) / 2 if probabilities add up to 1. This form gives exactly 1/2
    for a judge who prefers neither, however its answers were rounded.
    """
    return (1.0 + (averaged[:, Verdict.FIRST] - averaged[:, Verdict.SECOND])) / 2.0


def predictions_table(pairs: pd.DataFrame, probabilities: Floats) -> pd.DataFrame:
    """Return img1, img2, label, pred, p_first, p_second, p_similar of both orders averaged."""
    averaged = average_orders(probabilities)
    table = pairs[["img1", "img2", "label"]].reset_index(drop=True)
    table["pred"] = np.array(TITLES)[most_probable(averaged)]
    table[PROBABILITIES] = averaged
    return table


def orders_agree(probabilities: Floats) -> NDArray[np.bool_]:
    """Return whether the answers to both orders of a pair mean the same: shape (P,)."""
    swapped = np.array(SWAPPED)[most_probable(probabilities[:, 1])]
    return np.asarray(most_probable(probabilities[:, 0]) == swapped)


def confusion_table(labels: ArrayLike, pred: ArrayLike) -> pd.DataFrame:
    """Count pairs, rows the label, columns the answer, both in the order of `Verdict`."""
    counts = confusion_matrix(verdict_indices(labels), verdict_indices(pred), labels=list(Verdict))
    rows = pd.Index(TITLES, name="label")
    return pd.DataFrame(counts, index=rows, columns=pd.Index(TITLES, name="pred"))
