"""The metrics of judged pairs and of a ranking: one record each.

P pairs, n images. Probabilities are those of lmol.evaluation.answers. To add a metric, write its
function, and add its record to METRICS; it is then computed, saved, averaged over folds, and shown
in the places that the record names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Flag, auto
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    precision_recall_fscore_support,
    root_mean_squared_error,
)

from lmol.evaluation.answers import Classes, Floats, average_orders, orders_agree
from lmol.verdict import SWAPPED, Verdict, most_probable, verdict_indices

Metrics = dict[str, float | int | None]

SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""Smallest probability of a softmax in fp32; a sure mistake costs at most 87 nats."""


class Shown(Flag):
    """The places that show a metric in addition to metrics.json."""

    NOWHERE = 0
    VALIDATION = auto()  # every validation of a training
    END = auto()  # the last lines of a command
    FOLDS = auto()  # the table over the folds of a sweep
    SETTINGS = auto()  # the table over the settings of a sweep
    REPORT = auto()
    CARD = auto()  # the card of an exported model
    EVERYWHERE = VALIDATION | END | FOLDS | SETTINGS | REPORT | CARD


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedFold:
    """The answers about a fold, and its ranking.

    truth: verdict indices (P,). probabilities (P, 2, 3). scores, strengths, estimates: of n images,
    shape (n,); None without scores, or without a scale for estimates.
    """

    truth: Classes = field(default_factory=lambda: np.empty(0, np.int64))
    probabilities: Floats = field(default_factory=lambda: np.empty((0, 2, 3)))
    scores: Floats | None = None
    strengths: Floats | None = None
    estimates: Floats | None = None

    @cached_property
    def answer(self) -> Classes:
        """Return the most probable answer of both orders averaged, shape (P,)."""
        return most_probable(average_orders(self.probabilities))

    @cached_property
    def per_class(self) -> tuple[Floats, Floats]:
        """Return precision and recall of each class, shape (3,); NaN where not defined."""
        precision, recall, _, _ = precision_recall_fscore_support(
            self.truth, self.answer, labels=list(Verdict), zero_division=np.nan
        )
        return precision, recall


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric. title: for tables and pages. name: in words, for longer lines.

    compute: None if another part of the evaluation returns it (calibration). needs: fields of
    JudgedFold that must be known, such as scores; a metric without needs is of the pairs.
    """

    key: str
    title: str
    compute: Callable[[JudgedFold], float | None] | None
    shown: Shown = Shown.NOWHERE
    name: str = ""
    low_is_good: bool = False
    needs: tuple[str, ...] = ()

    def known(self, judged: JudgedFold) -> bool:
        """Return whether all needed fields are known; for a metric of pairs, whether any exist."""
        known = [getattr(judged, name) is not None for name in self.needs]
        return all(known) if known else judged.truth.size > 0


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
