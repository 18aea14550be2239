"""Drawings of recipes and their folds for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from lmol.report.numbers import percent, signed
from lmol.report.statistics import PairedDifference
from lmol.report.svg import Axis, Limits, Plot, Point, limits_of, thinned
from lmol.verdict import TITLES

SERIES = 8
"""Number of recipe colours on the page; further recipes reuse them with other dashes."""

FEW_POINTS = 4
"""A training curve with fewer points is also marked with dots: one point makes no line."""

Curves = Sequence[Sequence[Point]]


def series(place: int) -> str:
    """Return the CSS class of the recipe at this place, counted from 0."""
    return f"s{place % SERIES}" + (" again" if place >= SERIES else "")


def draw_differences(compared: Mapping[str, PairedDifference]) -> Markup:
    """Draw differences by metric title: a dot per fold, the mean and its interval."""
    ends = [0.0]
    for found in compared.values():
        ends += [*found.by_fold.values(), *(e for e in (found.low, found.high) if e is not None)]
    rows = len(compared)
    plot = Plot(
        Axis(limits=limits_of(ends), title="difference"),
        Axis(limits=(-0.5, rows - 0.5), title=""),
        width=460, height=62 + 30 * rows, left=124,
    )  # fmt: skip
    plot.grid_across()
    plot.segment((0.0, -0.5), (0.0, rows - 0.5), "zero")
    for place, (title, found) in enumerate(compared.items()):
        _draw_difference(plot, rows - 1.0 - place, title, found)
    return plot.markup("Differences by fold, their means and intervals")


def _draw_difference(plot: Plot, y: float, title: str, found: PairedDifference) -> None:
    plot.row_name(y, title)
    if found.low is not None and found.high is not None:
        plot.segment((found.low, y), (found.high, y), "interval")
    tooltips = [f"fold {fold}: {signed(value)}" for fold, value in found.by_fold.items()]
    plot.dots([(value, y) for value in found.by_fold.values()], "fold", tooltips)
    plot.dots([(found.mean, y)], "mean", [f"mean {signed(found.mean)}"])


def draw_curves(training: Curves, validation: Curves, y: Axis, steps: Limits) -> Markup:
    """Draw training and validation by step, a line per fold."""
    plot = Plot(Axis(limits=steps, title="optimizer step"), y)
    plot.grid()
    for curve in training:
        plot.line(thinned(curve), "training")
        if len(curve) < FEW_POINTS:
            plot.dots(curve, "few training")
    for curve in validation:
        plot.line(thinned(curve), "validation")
        plot.dots(thinned(curve), "validation")
    return plot.markup(f"{y.title} by optimizer step")


def draw_confusion(confusion: pd.DataFrame) -> Markup:
    """Draw counts and shares of each label. confusion: rows the label, columns the answer."""
    size = len(TITLES)
    plot = Plot(
        Axis(limits=(0.0, size), title="answer of the model"),
        Axis(limits=(0.0, size), title="label"),
        width=330, height=290, left=84,
    )  # fmt: skip
    counts = confusion.to_numpy()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for (row, column), share in np.ndenumerate(shares):
        low, high = (column + 0.02, size - row - 0.98), (column + 0.98, size - row - 0.02)
        plot.box(low, high, "heat", 0.06 + 0.74 * float(share))
        middle = column + 0.5
        plot.label((middle, size - row - 0.5), percent(float(share)), "share")
        plot.label((middle, size - row - 0.74), f"{counts[row, column]:,}", "count")
    for place, title in enumerate(TITLES):
        plot.row_name(size - place - 0.5, title)
        plot.label((place + 0.5, -0.22), title)
    return plot.markup("Confusion matrix")


def draw_by_recipe(
    x: Axis, y: Axis, curves: Mapping[int, Sequence[Point]], *, diagonal: bool = False
) -> Markup:
    """Draw a curve with dots per recipe. curves: by recipe place; diagonal: add the line y = x."""
    plot = Plot(x, y, width=420, height=300)
    plot.grid()
    if diagonal:
        low, high = max(x.limits[0], y.limits[0]), min(x.limits[1], y.limits[1])
        plot.segment((low, low), (high, high), "reference")
    for place, points in curves.items():
        plot.line(points, series(place))
        plot.dots(points, f"large {series(place)}")
    return plot.markup(f"{y.title} by {x.title}")


def draw_ranking(points: Sequence[Point], limits: Limits, place: int) -> Markup:
    """Draw estimate against score, a dot per image."""
    axes = (
        Axis(limits=limits, title="score of the raters, in points"),
        Axis(limits=limits, title="estimate, in points"),
    )
    plot = Plot(*axes, width=330, height=310)
    plot.grid()
    plot.segment((limits[0], limits[0]), (limits[1], limits[1]), "reference")
    plot.dots(points, f"cloud {series(place)}")
    return plot.markup("Estimate against score of the held-out images")
