"""Accuracy by the score gap of a pair: gaps near theta are hard for every judge."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from lmol.evaluation.answers import Floats
from lmol.evaluation.intervals import ImageBootstrap
from lmol.evaluation.judged import JudgedPairs
from lmol.verdict import SCORE_DECIMALS

NUM_INTERVALS = 8
"""Maximum number of intervals beyond theta; their width is a round number of points."""


def accuracy_by_gap(
    judged: JudgedPairs, theta: float, bootstrap: ImageBootstrap, farthest: float = 0.0
) -> pd.DataFrame:
    """Return low, high, pairs, accuracy, accuracy_low, accuracy_high by interval of gaps.

    The first row, with low 0, holds the pairs up to theta, which are labelled Similar; further rows
    hold those with low < gap <= high, all of one width. low, high and theta are in points of score;
    accuracy and its ends are NaN in an interval without pairs. farthest: the largest gap of the
    whole data set, which gives all of its folds the same intervals.
    """
    assert judged.gap is not None, "gaps need scores"
    borders = gap_borders(theta, max(farthest, float(judged.gap.max())))
    rank = np.searchsorted(borders, judged.gap, side="left")
    parts = [rank == k for k in range(borders.size)]
    rows = [{"pairs": int(part.sum()), **judged.accuracy(part, bootstrap)} for part in parts]
    table = pd.DataFrame(rows)
    table = table.astype({name: float for name in table.columns if name != "pairs"})
    table.insert(0, "low", np.concatenate([[0.0], borders[:-1]]))
    table.insert(1, "high", borders)
    return table


def gap_borders(theta: float, largest: float) -> Floats:
    """Return upper ends of the intervals: theta, then equal round steps until past the largest.

    They are rounded like gaps, so that 0.2 + 0.4 is the gap 0.6.
    """
    if largest <= theta:
        return np.array([theta])
    steps = MaxNLocator(NUM_INTERVALS, steps=[1, 2, 2.5, 4, 5, 10]).tick_values(0, largest - theta)
    return np.asarray(np.round(theta + np.asarray(steps), SCORE_DECIMALS))
