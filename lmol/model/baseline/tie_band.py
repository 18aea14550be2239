"""Answers from predicted scores: how far apart two images are called different.

P pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from lmol.verdict import Verdict

Floats = NDArray[np.float64]

STEEPEST, WIDEST = 100.0, 30.0
"""Bounds of slope (per standard deviation of the gaps) and band, which pairs that predictions
separate without error would send to infinity."""


def answer_logits(gaps: Floats, slope: float, band: float) -> Floats:
    """Return logits (P, 3) of gaps (P,), those of exchanged pairs with First and Second exchanged.

    First and Second have slope times the gap, up and down, and Similar has the band.
    """
    logits = np.full((len(gaps), len(Verdict)), band)
    logits[:, Verdict.FIRST], logits[:, Verdict.SECOND] = slope * gaps, -slope * gaps
    return logits


def fit_band(gaps: Floats, shares: Floats, weights: Floats) -> tuple[float, float]:
    """Return slope and band of the largest likelihood of labelled pairs.

    gaps: predicted score of the first image minus that of the second, (P,). shares (P, 3) and
    weights (P,): of the labels. The likelihood is concave in both numbers, so it has one maximum.
    """
    unit = float(gaps.std()) or 1.0

    def loss(point: Floats) -> tuple[float, Floats]:
        logs = log_softmax(answer_logits(gaps / unit, *point), axis=1)
        surplus = np.exp(logs) - shares  # the gradient with respect to the logits
        by_slope = (surplus[:, Verdict.FIRST] - surplus[:, Verdict.SECOND]) * gaps / unit
        gradient = [np.average(one, weights=weights) for one in (by_slope, surplus[:, -1])]
        return float(np.average(-(shares * logs).sum(1), weights=weights)), np.array(gradient)

    bounds = [(0.0, STEEPEST), (-WIDEST, WIDEST)]
    found = minimize(loss, x0=(1.0, 0.0), jac=True, bounds=bounds, method="L-BFGS-B")
    slope, band = found.x
    return float(slope) / unit, float(band)
