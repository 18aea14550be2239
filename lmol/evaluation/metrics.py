"""The metrics of judged pairs and of a ranking: one record each.

P pairs, n images. Probabilities are those of lmol.evaluation.answers. To add a metric, write its
function, and add its record to METRICS; it is then computed, saved, averaged over folds, and shown
in the places that the record names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Flag, auto

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
from lmol.evaluation.judged_fold import JudgedFold
from lmol.verdict import SWAPPED, Verdict, verdict_indices

Metrics = dict[str, float | int | None]

SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""Smallest probability of a softmax in fp32; a sure mistake costs at most 87 nats."""

CORRELATIONS = (
    ("pearson", stats.pearsonr),
    ("spearman", stats.spearmanr),
    ("kendall", stats.kendalltau),
)


class Shown(Flag):
    """The places that show a metric in addition to metrics.json."""

    NOWHERE = 0
    VALIDATION = auto()  # every validation of a training
    END = auto()  # the last lines of a command
    FOLDS = auto()  # the table over the folds of a sweep
    SETTINGS = auto()  # the table over the settings of a sweep
    REPORT = auto()


Compute = Callable[[JudgedFold], float | None]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric. title: for tables and pages. name: in words, where there is room.

    compute: None if another part of the evaluation returns it (calibration). needs: fields of
    JudgedFold that must be known, such as scores; the metric is left out otherwise.
    """

    key: str
    title: str
    compute: Compute | None
    shown: Shown = Shown.NOWHERE
    name: str = ""
    low_is_good: bool = False
    needs: tuple[str, ...] = ()

    def known(self, judged: JudgedFold) -> bool:
        """Return whether all needed fields are known."""
        return all(getattr(judged, field) is not None for field in self.needs)


def metrics_of(judged: JudgedFold) -> Metrics:
    """Compute every metric whose needed fields are known; None for one that is not defined."""
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


def correlation_metrics(scores: Floats, strengths: Floats, estimates: Floats | None) -> Metrics:
    """Compute the metrics of a ranking; all three of shape (n,), n > 0."""
    assert scores.size > 0, "metrics of no images"
    judged = JudgedFold(
        truth=np.empty(0, np.int64),
        probabilities=np.empty((0, 2, 3)),
        scores=scores,
        strengths=strengths,
        estimates=estimates,
    )
    found = {
        metric.key: metric.compute(judged)
        for metric in METRICS
        if metric.needs and metric.compute is not None and metric.known(judged)
    }
    return {**found, "images": scores.size}


def order_consistency(probabilities: Floats) -> float:
    """Return the share of pairs whose answer to (img2, img1) is that to (img1, img2), exchanged."""
    return float(np.mean(orders_agree(probabilities)))


def position_bias(probabilities: Floats) -> float:
    """Return the mean over pairs and orders of p(First) - p(Second) as answered, in [-1, 1].

    Each pair is asked in both orders, so a judge that goes by the images alone has 0, whatever the
    labels; one that always says First has 1.
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
            similar = key == "accuracy" and verdict is Verdict.SIMILAR
            yield Metric(
                key=f"{key}_{verdict.name.lower()}",
                title=f"{title} of {verdict.title}",
                compute=_of_class(row, verdict),
                shown=Shown.END | Shown.REPORT if similar else Shown.NOWHERE,
            )


def _of_class(row: int, verdict: Verdict) -> Compute:
    def compute(judged: JudgedFold) -> float | None:
        value = judged.per_class[row][verdict]
        return None if np.isnan(value) else float(value)

    return compute


def _correlations() -> Iterator[Metric]:
    """Yield agreement of strengths with scores, which no fitted scale alters (Kendall: tau-b)."""
    shown = {
        "pearson": Shown.VALIDATION | Shown.END | Shown.FOLDS | Shown.SETTINGS | Shown.REPORT,
        "spearman": Shown.END | Shown.FOLDS | Shown.REPORT,
    }
    for key, correlate in CORRELATIONS:
        yield Metric(
            key=key,
            title=key.capitalize(),
            compute=_of_ranking(correlate),
            shown=shown.get(key, Shown.NOWHERE),
            needs=("scores", "strengths"),
        )


def _of_ranking(correlate: Callable[..., object]) -> Compute:
    """Make a metric that is None if scores or strengths are all equal: no order is defined."""

    def compute(judged: JudgedFold) -> float | None:
        scores, strengths = judged.scores, judged.strengths
        if np.ptp(scores) == 0 or np.ptp(strengths) == 0:  # type: ignore[arg-type]
            return None
        return float(correlate(scores, strengths).statistic)  # type: ignore[attr-defined]

    return compute


METRICS = (
    Metric(
        key="accuracy",
        title="accuracy",
        compute=lambda judged: float(accuracy_score(judged.truth, judged.answer)),
        shown=Shown.VALIDATION | Shown.END | Shown.FOLDS | Shown.SETTINGS | Shown.REPORT,
    ),
    *_per_class(),
    Metric(
        key="macro_f1",
        title="macro F1",
        compute=lambda judged: float(f1_score(judged.truth, judged.answer, average="macro")),
        shown=Shown.VALIDATION | Shown.FOLDS,
    ),
    Metric(
        key="order_consistency",
        title="order consistency",
        compute=lambda judged: order_consistency(judged.probabilities),
        shown=Shown.VALIDATION | Shown.END | Shown.FOLDS | Shown.SETTINGS | Shown.REPORT,
    ),
    Metric(
        key="position_bias",
        title="position bias",
        compute=lambda judged: position_bias(judged.probabilities),
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
        shown=Shown.END | Shown.FOLDS | Shown.SETTINGS | Shown.REPORT,
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
    Metric(key="ece", title="ECE", compute=None, shown=Shown.FOLDS, low_is_good=True),
)
