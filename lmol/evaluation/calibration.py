"""Calibration of the judge's confidence, and the temperature that improves it.

P pairs. Probabilities have shape (P, 2, 3), averaged ones (P, 3), as in metrics.py. All formulas
are those of Guo, Pleiss, Sun and Weinberger (2017, On calibration of modern neural networks, ICML).
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from lmol.evaluation.answers import Classes, Floats
from lmol.evaluation.metrics import SMALLEST_PROBABILITY, cross_entropy
from lmol.verdict import most_probable

NUM_BINS = 15
"""Number of bins in the paper."""

TEMPERATURES = (1 / 20, 20.0)
"""Range of the fit; beyond it all answers are certain, or all are guesses."""


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Return the mean over pairs of |accuracy - confidence| of the pair's bin, in [0, 1].

    table: from reliability_table.
    """
    filled = table[table["pairs"] > 0]
    gaps = (filled["accuracy"] - filled["confidence"]).abs()
    return float(np.average(gaps, weights=filled["pairs"]))


def reliability_table(truth: Classes, averaged: Floats, num_bins: int = NUM_BINS) -> pd.DataFrame:
    """Return low, high, pairs, confidence, accuracy of `num_bins` equal bins over (0, 1].

    A pair's confidence is the averaged probability of its most probable answer; it is in the bin
    with low < confidence <= high. confidence and accuracy are means, NaN in an empty bin. truth:
    verdict indices, shape (P,), P > 0.
    """
    assert truth.size > 0, "calibration of no pairs"
    answer = most_probable(averaged)
    confidence = averaged[np.arange(truth.size), answer]
    row = np.clip(np.ceil(confidence * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    pairs = np.bincount(row, minlength=num_bins)
    divisor = np.where(pairs > 0, pairs, np.nan)
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "pairs": pairs,
            "confidence": np.bincount(row, confidence, num_bins) / divisor,
            "accuracy": np.bincount(row, answer == truth, num_bins) / divisor,
        }
    )


def fit_temperature(truth: Classes, probabilities: Floats) -> float:
    """Return the temperature of least cross-entropy over pairs and orders, in TEMPERATURES.

    Fit it on validation pairs, never on held-out ones: their calibration would look too good.
    truth: shape (P,), P > 0. Above 1 the judge was too sure, below 1 not sure enough.
    """
    assert truth.size > 0, "a temperature of no pairs"
    found = minimize_scalar(
        lambda log: cross_entropy(truth, with_temperature(probabilities, math.exp(log))),
        bounds=(math.log(TEMPERATURES[0]), math.log(TEMPERATURES[1])),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return math.exp(found.x)


def with_temperature(probabilities: Floats, temperature: float) -> Floats:
    """Return softmax(log p / T) over the last axis, shape kept: the logits divided by T > 0.

    Apply it before the orders are averaged, since each order has its own softmax. A probability of
    exactly 0 counts as SMALLEST_PROBABILITY, the smallest of a softmax in fp32.
    """
    logits = np.log(np.maximum(probabilities, SMALLEST_PROBABILITY))
    return np.asarray(softmax(logits / temperature, axis=-1))
