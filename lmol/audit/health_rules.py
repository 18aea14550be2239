"""Health rules: they check the signals of training steps and validations for problems.

A rule returns the problem as a clause, or None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lmol.audit.signals import History, StepSignals, values
from lmol.verdict import TITLES

RECENT = 5
"""Number of last losses whose median is compared with the window; a single high loss is ignored."""

STANDS_OUT = 10
"""Factor by which an exploding gradient norm exceeds its window's median, besides the threshold."""

SCATTER = 1.4826
"""Ratio of the standard deviation to the median absolute deviation for normal numbers."""

HALF = 0.5
"""Share of all steps after which the rules expect that the run has learned something."""

IN_A_ROW = 3
"""Number of consecutive validations worse than the best that count as a trend, not as chance."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """The run's steps and warm-up steps, the window's length, and whether the loss is scaled."""

    num_steps: int
    warmup_steps: int
    window: int
    scaled: bool


Rule = TypeVar("Rule", bound=Callable[..., "str | None"])


def _by_name(*rules: Rule) -> dict[str, Rule]:
    return {rule.__name__: rule for rule in rules}


def non_finite_loss(history: History, course: Course, threshold: float) -> str | None:
    """Report a loss of the last step that is not finite."""
    loss = history.steps[-1].loss
    return None if math.isfinite(loss) else f"the loss is {loss}"


def non_finite_gradient(history: History, course: Course, threshold: float) -> str | None:
    """Report a non-finite gradient norm of the last step, unless a loss scaler is in use."""
    last = history.steps[-1]
    if course.scaled or math.isfinite(last.grad_norm) or not math.isfinite(last.loss):
        return None
    return f"the loss is {last.loss:.3g}, its gradient norm {last.grad_norm}"


def loss_spike(history: History, course: Course, threshold: float) -> str | None:
    """Report a high robust z-score of the last losses' median against the window before them."""
    losses = values(history.last(course.window + RECENT), "loss")
    if len(losses) < course.window:
        return None
    before, recent = losses[:-RECENT], float(np.median(losses[-RECENT:]))
    center = _median(before)
    scatter = SCATTER * _median(np.abs(before - center))
    if not math.isfinite(recent) or recent <= center + threshold * scatter or scatter == 0:
        return None
    z = (recent - center) / scatter
    return f"the loss rose from {center:.3g} to {recent:.3g}, {z:.0f} times its scatter"


def loss_too_small(history: History, course: Course, threshold: float) -> str | None:
    """Report a median cross-entropy of the window below the threshold."""
    window = history.last(course.window)
    if len(window) < course.window:
        return None
    median = _median(values(window, "cross_entropy"))
    return f"the median cross-entropy is down to {median:.2g} nats" if median < threshold else None


def gradient_norm_high(history: History, course: Course, threshold: float) -> str | None:
    """Report a median gradient norm of the window, before clipping, above the threshold."""
    window = history.last(course.window)
    if len(window) < course.window:
        return None
    median = _median(values(window, "grad_norm"))
    return f"the median gradient norm is {median:.3g}" if median > threshold else None


def gradient_explosion(history: History, course: Course, threshold: float) -> str | None:
    """Report a gradient norm of the last step that is far above its window's median."""
    norm = history.steps[-1].grad_norm
    if not threshold < norm < math.inf:
        return None
    window = history.last(course.window)[:-1]
    usual = _median(values(window, "grad_norm")) if window else math.inf
    if norm <= STANDS_OUT * usual:
        return None
    return f"the gradient norm is {norm:.3g}, {norm / max(usual, 1e-12):.0f} times the usual"


def stalled_accuracy(history: History, course: Course, threshold: float) -> str | None:
    """Report window accuracy near the share of the most common label, after half of the steps."""
    window = history.last(course.window)
    step = history.steps[-1].step
    if len(window) < course.window or step < HALF * course.num_steps:
        return None
    accuracy, commonest = float(values(window, "accuracy").mean()), _commonest(window, "labels")[1]
    if accuracy >= commonest + threshold:
        return None
    return f"training accuracy is {accuracy:.3f}; the most common label would give {commonest:.3f}"


def one_class_collapse(history: History, course: Course, threshold: float) -> str | None:
    """Report one answer to all pairs although labels differ, after the warm-up."""
    window = history.last(course.window, after=course.warmup_steps)
    if len(window) < course.window:
        return None
    (answer, share), (_, commonest) = _commonest(window, "answers"), _commonest(window, "labels")
    if share <= threshold or commonest > threshold:
        return None
    return f"{share:.1%} of the answers are {answer}"


def throughput_drop(history: History, course: Course, threshold: float) -> str | None:
    """Report a median step time of the window that is too long compared with the first window."""
    steps = history.steps
    if len(steps) < 2 * course.window:
        return None
    first = float(np.median(values(steps[: course.window], "seconds")))
    now = float(np.median(values(steps[-course.window :], "seconds")))
    if now <= threshold * first:
        return None
    return f"a step takes {now / first:.1f} times as long as at first"


AT_ONCE = _by_name(non_finite_loss, non_finite_gradient, gradient_explosion)
"""Rules that are applied at every step."""

BY_WINDOW = _by_name(
    loss_spike,
    loss_too_small,
    gradient_norm_high,
    stalled_accuracy,
    one_class_collapse,
    throughput_drop,
)
"""Rules about windows; these change little between steps, so they are applied every few steps."""


@dataclass(frozen=True, kw_only=True)
class Validated:
    """One validation, and the means over the window of training steps before it.

    entropy: validation cross-entropy in nats, comparable with the training cross-entropy.
    """

    step: int
    accuracy: float
    training: float
    entropy: float
    training_entropy: float


def chance_validation(
    validations: Sequence[Validated], commonest: float, course: Course, threshold: float
) -> str | None:
    """Report validation accuracy near the most common label's share, after half of the steps."""
    last = validations[-1]
    early = last.step < max(HALF * course.num_steps, course.window)
    if early or last.accuracy >= commonest + threshold:
        return None
    found = f"validation accuracy is {last.accuracy:.3f}"
    return f"{found}; the most common label would give {commonest:.3f}"


def overfitting(
    validations: Sequence[Validated], commonest: float, course: Course, threshold: float
) -> str | None:
    """Report several consecutive validations below the best one while training accuracy rose."""
    if len(validations) <= IN_A_ROW:
        return None
    before, recent = validations[:-IN_A_ROW], validations[-IN_A_ROW:]
    best = max(before, key=lambda validated: validated.accuracy)
    worse = all(validated.accuracy < best.accuracy - threshold for validated in recent)
    if not worse or recent[-1].training <= best.training:
        return None
    last = recent[-1]
    fell = f"validation accuracy fell from {best.accuracy:.3f} to {last.accuracy:.3f}"
    return f"{fell} while training accuracy rose from {best.training:.3f} to {last.training:.3f}"


def rising_validation_loss(
    validations: Sequence[Validated], commonest: float, course: Course, threshold: float
) -> str | None:
    """Report consecutive validations above the least cross-entropy while the training one fell."""
    if len(validations) <= IN_A_ROW:
        return None
    before, recent = validations[:-IN_A_ROW], validations[-IN_A_ROW:]
    least = min(before, key=lambda validated: validated.entropy)
    worse = all(v.entropy > least.entropy * (1 + threshold) for v in recent)
    last = recent[-1]
    if not worse or last.training_entropy >= least.training_entropy:
        return None
    rose = f"validation cross-entropy rose from {least.entropy:.3f} to {last.entropy:.3f}"
    fell = f"training's fell from {least.training_entropy:.3f} to {last.training_entropy:.3f}"
    return f"{rose} on training's scale while {fell}"


AT_VALIDATION = _by_name(chance_validation, overfitting, rising_validation_loss)


def _median(numbers: NDArray[np.float64]) -> float:
    """Return the median of the finite numbers; infinity if no number is finite."""
    finite = numbers[np.isfinite(numbers)]
    return float(np.median(finite)) if len(finite) else math.inf


def _commonest(window: Sequence[StepSignals], name: str) -> tuple[str, float]:
    """Return the most common class among answers or labels, and its share."""
    counts: NDArray[np.float64] = values(window, name).sum(axis=0)
    return TITLES[int(counts.argmax())], float(counts.max() / max(counts.sum(), 1))
