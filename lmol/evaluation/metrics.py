"""The metrics of judged pairs and of a ranking: one record each.

P pairs, n images. Probabilities are those of lmol.evaluation.answers. To add a metric, write its
function, and add its record to METRICS; it is then computed, saved, averaged over folds, and shown
in the places that the record names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    root_mean_squared_error,
)

from lmol.evaluation.answers import Classes, Floats, orders_agree
from lmol.evaluation.metric import JudgedFold, Metric, Shown
from lmol.verdict import SWAPPED, Verdict, verdict_indices

Metrics = dict[str, float | int | None]

SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""Smallest probability of a softmax in fp32; a sure mistake costs at most 87 nats."""


def metrics_of(judged: JudgedFold) -> Metrics:
    """Compute every known metric; None for a metric that is not defined."""
    return {
        metric.key: metric.compute(judged)
        for metric in METRICS
        if metric.compute is not None and metric.known(judged)
    }


def shown_in(place: Shown) -> list[Metric]:
    """Return the metrics that a place shows, in their order."""
    return [metric for metric in METRICS if place in metric.shown]


def classification_metrics(labels: ArrayLike, probabilities: Floats) -> Metrics:
    """Compute the metrics that need no scores; labels: shape (P,), titles, P > 0."""
    truth = verdict_indices(labels)
    assert truth.size > 0, "metrics of no pairs"
    return {**metrics_of(JudgedFold(truth=truth, probabilities=probabilities)), "pairs": truth.size}


def correlation_metrics(
    scores: Floats | None, strengths: Floats, estimates: Floats | None
) -> Metrics:
    """Compute the metrics of a ranking; all three of shape (n,), n > 0, or None if not known."""
    assert strengths.size > 0, "metrics of no images"
    judged = JudgedFold(scores=scores, strengths=strengths, estimates=estimates)
    return {**metrics_of(judged), "images": strengths.size}


def order_consistency(probabilities: Floats) -> float:
    """Return the share of pairs whose answer to (img2, img1) is that to (img1, img2), exchanged."""
    return float(np.mean(orders_agree(probabilities)))


def position_bias(probabilities: Floats) -> float:
    """Return the mean over pairs and orders of p(First) - p(Second) as answered, in [-1, 1].

    Each pair is asked in both orders, so the bias is 0 for a judge that ignores the position, with
    any labels, and 1 for a judge that always answers First.
    """
    return float(np.mean(probabilities[..., Verdict.FIRST] - probabilities[..., Verdict.SECOND]))


def cross_entropy(truth: Classes, probabilities: Floats) -> float:
    """Return nats, mean over pairs and both orders; truth: shape (P,), verdict indices."""
    rows = np.arange(truth.size)
    swapped = np.array(SWAPPED)[truth]
    of_truth = np.stack([probabilities[rows, 0, truth], probabilities[rows, 1, swapped]])
    return float(-np.log(np.maximum(of_truth, SMALLEST_PROBABILITY)).mean())


def _per_class() -> Iterator[Metric]:
    """Yield recall and precision of each class; None if no label, or no answer, has it."""
    for key, title, row in (("accuracy", "recall", 1), ("precision", "precision", 0)):
        for verdict in Verdict:
            shown = Shown.CARD if key == "accuracy" else Shown.NOWHERE
            if shown and verdict is Verdict.SIMILAR:
                shown |= Shown.END | Shown.REPORT
            yield Metric(
                key=f"{key}_{verdict.name.lower()}",
                title=f"{title} of {verdict.title}",
                compute=partial(_of_class, row=row, verdict=verdict),
                shown=shown,
            )


def _of_class(judged: JudgedFold, row: int, verdict: Verdict) -> float | None:
    value = judged.per_class[row][verdict]
    return None if np.isnan(value) else float(value)


def _correlations() -> Iterator[Metric]:
    """Yield agreement of strengths with scores, which no fitted scale alters (Kendall: tau-b)."""
    for key, correlate, shown in (
        ("pearson", stats.pearsonr, Shown.EVERYWHERE),
        ("spearman", stats.spearmanr, Shown.END | Shown.FOLDS | Shown.REPORT | Shown.CARD),
        ("kendall", stats.kendalltau, Shown.NOWHERE),
    ):
        yield Metric(
            key=key,
            title=key.capitalize(),
            compute=partial(_correlation, correlate=correlate),
            shown=shown,
            needs=("scores", "strengths"),
        )


def _correlation(judged: JudgedFold, correlate: Callable[..., Any]) -> float | None:
    """Return None if scores or strengths are all equal: no order is defined."""
    scores, strengths = judged.scores, judged.strengths
    if np.ptp(scores) == 0 or np.ptp(strengths) == 0:  # type: ignore[arg-type]
        return None
    return float(correlate(scores, strengths).statistic)


METRICS = (
    Metric(
        key="accuracy",
        title="accuracy",
        compute=lambda judged: float(accuracy_score(judged.truth, judged.answer)),
        shown=Shown.EVERYWHERE,
    ),
    *_per_class(),
    Metric(
        key="macro_f1",
        title="macro F1",
        compute=lambda judged: float(f1_score(judged.truth, judged.answer, average="macro")),
        shown=Shown.VALIDATION | Shown.FOLDS | Shown.CARD,
    ),
    Metric(
        key="order_consistency",
        title="order consistency",
        compute=lambda judged: order_consistency(judged.probabilities),
        shown=Shown.EVERYWHERE,
    ),
    Metric(
        key="position_bias",
        title="position bias",
        compute=lambda judged: position_bias(judged.probabilities),
        shown=Shown.CARD,
    ),
    Metric(
        key="cross_entropy",
        title="cross-entropy (nats)",
        compute=lambda judged: cross_entropy(judged.truth, judged.probabilities),
        shown=Shown.VALIDATION,
        low_is_good=True,
    ),
    *_correlations(),
    Metric(
        key="mae",
        title="MAE (points)",
        name="mean absolute error",
        compute=lambda judged: float(mean_absolute_error(judged.scores, judged.estimates)),
        shown=Shown.END | Shown.FOLDS | Shown.SETTINGS | Shown.REPORT | Shown.CARD,
        low_is_good=True,
        needs=("scores", "estimates"),
    ),
    Metric(
        key="rmse",
        title="RMSE (points)",
        compute=lambda judged: float(root_mean_squared_error(judged.scores, judged.estimates)),
        low_is_good=True,
        needs=("scores", "estimates"),
    ),
    Metric(key="ece", title="ECE", compute=None, shown=Shown.FOLDS | Shown.CARD, low_is_good=True),
)
