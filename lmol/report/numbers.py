"""Number formats of the page: few digits, a true minus sign, a dash for undefined values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lmol.evaluation.metric import Shown
from lmol.evaluation.metrics import shown_in
from lmol.evaluation.over_folds import OverFolds
from lmol.report.blocks import Cell

DASH = "–"
MINUS = "−"
SMALL_P = 0.001

METRICS = shown_in(Shown.REPORT)


def fixed(value: float | None, digits: int = 3) -> str:
    """Return the rounded number; a zero has no sign."""
    if value is None or value != value:
        return DASH
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """Return the rounded number with its sign, for a difference; a zero has no sign."""
    if value is None or value != value:
        return DASH
    if round(value, digits) == 0:
        return fixed(value, digits)
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", MINUS)


def mean_and_sd(found: OverFolds) -> str:
    """Return mean ± SD over folds; the mean without SD if there is one fold."""
    return fixed(found["mean"]) + (f" ± {fixed(found['sd'])}" if found["sd"] is not None else "")


def number_cell(value: float | None, text: Callable[[float | None], str] = fixed) -> Cell:
    """Return a cell that shows a number as text, and sorts by the number."""
    return Cell(text=text(value), value=value)


def between(low: float | None, high: float | None, *, sign: bool = False) -> str:
    """Return the interval, or a dash if an end is missing."""
    shown = signed if sign else fixed
    return DASH if low is None or high is None else f"{shown(low)} to {shown(high)}"


def probability(p: float | None) -> str:
    """Return a p-value as text."""
    if p is None:
        return DASH
    return f"< {SMALL_P}" if p < SMALL_P else f"{p:.3f}"


def percent(share: float) -> str:
    return f"{100.0 * share:.1f} %"


def listed(items: Sequence[object]) -> str:
    """Return the items as text, such as 1, 2 and 3."""
    texts = [str(item) for item in items]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def of_folds(folds: Sequence[int]) -> str:
    """Return the folds as text: fold 1, or folds 1 and 2."""
    return f"fold{'s' if len(folds) > 1 else ''} {listed(folds)}"


def seconds(value: float | None) -> str:
    """Return a duration in seconds, minutes or hours, by its size."""
    if value is None or value < 100.0:
        return DASH if value is None else f"{value:.1f} s"
    return f"{value / 60.0:.1f} min" if value < 6000.0 else f"{value / 3600.0:.1f} h"
