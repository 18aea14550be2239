"""The cross-entropy of validation pairs on the scale of the training cross-entropy.

Training draws pairs evenly over gaps and weights Similar; validation pairs are not resampled. Their
plain cross-entropies differ even if a model is equally good on both.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmol.config.schema import LossConfig
from lmol.data.pairs_table import Floats, label_shares, pair_weights
from lmol.verdict import SWAPPED, Verdict

BINS = 10
"""Number of gap ranges with equally many training pairs each, for Similar and for the others."""


def comparable_cross_entropy(
    probabilities: Floats, pairs: pd.DataFrame, training_pairs: pd.DataFrame, loss: LossConfig
) -> float:
    """Return the cross-entropy in nats, weighted so that gaps are as common as in training.

    probabilities: (P, 2, 3), both orders. Similar counts w_similar times and the swapped order
    swap_ce_weight times, as in lmol.training.losses.
    """
    framed = np.stack([probabilities[:, 0], probabilities[:, 1][:, SWAPPED]], axis=1)
    entropy = -np.log(np.maximum(framed, np.finfo(np.float32).tiny))  # (P, 2, 3)
    orders = np.average(entropy, axis=1, weights=[1.0, loss.swap_ce_weight])  # (P, 3)
    classes = label_shares(pairs) * np.array([1.0, 1.0, loss.w_similar])
    weights = mix_weights(pairs, training_pairs) * pair_weights(pairs)
    return float(np.average((classes * orders).sum(axis=1), weights=weights))


def mix_weights(pairs: pd.DataFrame, training_pairs: pd.DataFrame) -> Floats:
    """Return weights (P,) that make label and gap of the pairs as common as in training.

    Gap ranges that only the training pairs have are left out.
    """
    weights = np.zeros(len(pairs))
    for similar in (True, False):
        ours = (pairs["label"] == Verdict.SIMILAR.title).to_numpy() == similar
        theirs = (training_pairs["label"] == Verdict.SIMILAR.title).to_numpy() == similar
        gaps, training_gaps = _gaps(pairs)[ours], _gaps(training_pairs)[theirs]
        if not len(gaps) or not len(training_gaps):
            continue
        edges = np.quantile(training_gaps, np.linspace(0, 1, BINS + 1)[1:-1])
        bins, training_bins = np.digitize(gaps, edges), np.digitize(training_gaps, edges)
        counts = np.bincount(bins, minlength=BINS)
        wanted = np.bincount(training_bins, minlength=BINS) / len(training_pairs)
        weights[ours] = (wanted / np.maximum(counts, 1))[bins]
    return weights if weights.any() else np.ones(len(pairs))


def _gaps(pairs: pd.DataFrame) -> Floats:
    """Return the gaps; all equal if images have no scores."""
    if "score1" not in pairs:
        return np.zeros(len(pairs))
    return (pairs["score1"] - pairs["score2"]).abs().to_numpy()
