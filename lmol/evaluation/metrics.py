"""What judged probabilities and a ranking are worth.

P pairs. Probabilities have shape (P, 2, 3): [:, 0] as answered to (img1, img2), [:, 1] as answered
to (img2, img1), classes in the order of `Verdict`. "Averaged" ones have shape (P, 3), in the frame
of (img1, img2). Labels and predictions in tables are the titles First, Second, Similar.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    mean_absolute_error,
    precision_recall_fscore_support,
    root_mean_squared_error,
)

from lmol.verdict import SWAPPED, TITLES, Verdict, verdict_indices

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]
Metrics = dict[str, float | int | None]

SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""Where a softmax in fp32 ends; keeps the cross-entropy of a sure mistake finite, at 87 nats."""


CORRELATIONS = (
    ("pearson", stats.pearsonr),
    ("spearman", stats.spearmanr),
    ("kendall", stats.kendalltau),
)


def average_orders(probabilities: Floats) -> Floats:
    """Mean of both answers in the frame of (img1, img2): shape (P, 2, 3) to (P, 3).

    Asking the two images in the other order gives exactly the same numbers, exchanged.
    """
    return (probabilities[:, 0] + probabilities[:, 1][:, SWAPPED]) / 2.0


def win_share(averaged: Floats) -> Floats:
    """Share of a win of img1, in [0, 1], a tie as half a win: shape (P, 3) to (P,).

    It equals p(First) + p(Similar) / 2 of probabilities that add up to 1, written so that a judge
    who prefers neither gives exactly 1/2, however its answers were rounded.
    """
    return (1.0 + (averaged[:, Verdict.FIRST] - averaged[:, Verdict.SECOND])) / 2.0


def most_probable(probabilities: Floats) -> Classes:
    """Verdict index of each row, shape (P, 3) to (P,); Similar where the largest two are equal.

    argmax alone would settle a tie in favour of First, in both orders, and swap symmetry would be
    lost; a judge that prefers neither of two answers has not told the images apart.
    """
    largest = probabilities.max(axis=1, keepdims=True)
    tied = (probabilities == largest).sum(axis=1) > 1
    return np.where(tied, Verdict.SIMILAR, probabilities.argmax(axis=1)).astype(np.int64)


def predictions_table(pairs: pd.DataFrame, probabilities: Floats) -> pd.DataFrame:
    """Table img1, img2, label, pred, p_first, p_second, p_similar of both orders averaged."""
    averaged = average_orders(probabilities)
    table = pairs[["img1", "img2", "label"]].reset_index(drop=True)
    table["pred"] = np.array(TITLES)[most_probable(averaged)]
    for verdict in Verdict:
        table[f"p_{verdict.name.lower()}"] = averaged[:, verdict]
    return table


def classification_metrics(labels: ArrayLike, probabilities: Floats) -> Metrics:
    """How often the three answers are right; labels: shape (P,), titles as in a Pairs table, P > 0.

    accuracy_<class> is the recall of the class, None where no label has it; precision_<class> is
    None where no answer has it. macro_f1 is the mean over the classes that are among labels or
    answers. order_consistency is the share of pairs whose swapped answer agrees. cross_entropy is
    in nats, the mean over pairs and both orders.
    """
    truth = verdict_indices(labels)
    assert truth.size > 0, "metrics of no pairs"
    averaged = average_orders(probabilities)
    answer = most_probable(averaged)
    precision, recall, _, _ = precision_recall_fscore_support(
        truth, answer, labels=list(Verdict), zero_division=np.nan
    )
    return {
        "accuracy": float(accuracy_score(truth, answer)),
        **_per_class("accuracy", recall),
        **_per_class("precision", precision),
        "macro_f1": float(f1_score(truth, answer, average="macro")),
        "order_consistency": order_consistency(probabilities),
        "position_bias": position_bias(probabilities),
        "cross_entropy": cross_entropy(truth, probabilities),
        "pairs": truth.size,
    }


def _per_class(name: str, values: Floats) -> Metrics:
    return {
        f"{name}_{verdict.name.lower()}": None if np.isnan(value) else float(value)
        for verdict, value in zip(Verdict, values, strict=True)
    }


def order_consistency(probabilities: Floats) -> float:
    """Share of pairs whose answer to (img2, img1) is the exchanged answer to (img1, img2)."""
    return float(np.mean(orders_agree(probabilities)))


def orders_agree(probabilities: Floats) -> NDArray[np.bool_]:
    """Whether the answers to both orders of a pair name the same image or none: shape (P,)."""
    swapped = np.array(SWAPPED)[most_probable(probabilities[:, 1])]
    return np.asarray(most_probable(probabilities[:, 0]) == swapped)


def position_bias(probabilities: Floats) -> float:
    """Mean over pairs and both orders of p(First) - p(Second) as answered, in [-1, 1].

    Each pair is asked in both orders, so a judge that goes by the images alone has 0, whatever
    the labels; one that always says First has 1.
    """
    return float(np.mean(probabilities[..., Verdict.FIRST] - probabilities[..., Verdict.SECOND]))


def cross_entropy(truth: Classes, probabilities: Floats) -> float:
    """Nats, mean over pairs and both orders; truth: shape (P,), verdict indices."""
    rows = np.arange(truth.size)
    swapped = np.array(SWAPPED)[truth]
    of_truth = np.stack([probabilities[rows, 0, truth], probabilities[rows, 1, swapped]])
    return float(-np.log(np.maximum(of_truth, SMALLEST_PROBABILITY)).mean())


def confusion_table(labels: ArrayLike, pred: ArrayLike) -> pd.DataFrame:
    """Numbers of pairs, rows the label, columns the answer, both in the order of `Verdict`."""
    counts = confusion_matrix(verdict_indices(labels), verdict_indices(pred), labels=list(Verdict))
    rows = pd.Index(TITLES, name="label")
    return pd.DataFrame(counts, index=rows, columns=pd.Index(TITLES, name="pred"))


def correlation_metrics(scores: Floats, strengths: Floats, estimates: Floats) -> Metrics:
    """Agreement of a ranking with the scores of n images; all three of shape (n,), n > 0.

    pearson, spearman and kendall (tau-b) are of the strengths with the scores, which no fitted
    scale can alter; None where one of the two is constant, as an order is then not defined. mae and
    rmse are of the estimates, in points of score.
    """
    assert scores.size > 0, "metrics of no images"
    constant = np.ptp(scores) == 0 or np.ptp(strengths) == 0
    return {
        **{
            name: None if constant else float(correlate(scores, strengths).statistic)
            for name, correlate in CORRELATIONS
        },
        "mae": float(mean_absolute_error(scores, estimates)),
        "rmse": float(root_mean_squared_error(scores, estimates)),
        "images": scores.size,
    }
