"""Pictures of the diagnosis as PNG: accuracy by gap, reliability, and subgroups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lmol.evaluation.calibration import expected_calibration_error
from lmol.evaluation.figures import BLUE, GREY, ORANGE, save, titled
from lmol.evaluation.subgroups import extreme_groups

MOST_ROWS = 24
"""Maximum number of readable rows; a longer table is drawn without rows across two groups."""

DOT: dict[str, Any] = {"fmt": "o", "markersize": 6.0, "elinewidth": 1.6, "capsize": 0.0}


def plot_accuracy_by_gap(table: pd.DataFrame, path: Path) -> None:
    """Draw accuracy with its interval above the number of pairs. table: from accuracy_by_gap."""
    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    accuracy, pairs = figure.subplots(2, 1, sharex=True, height_ratios=(3.0, 1.0))
    similar, others = table.iloc[:1], table.iloc[1:]
    for rows, color, label in (
        (similar, ORANGE, "Similar, up to theta"),
        (others, BLUE, "First or Second"),
    ):
        middle, width = (rows["low"] + rows["high"]) / 2, rows["high"] - rows["low"]
        accuracy.errorbar(
            middle, rows["accuracy"], yerr=_errors(rows, "accuracy"), xerr=width / 2,
            color=color, label=label, **DOT,
        )  # fmt: skip
        pairs.bar(middle, rows["pairs"], 0.94 * width, color=color)
    accuracy.set_ylim(0.0, 1.02)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    accuracy.legend(frameon=False, loc="lower right")
    titled(accuracy, _gap_title(table), "", "accuracy")
    titled(pairs, "", "score gap of the two images, in points", "pairs")
    save(figure, path)


def plot_reliability(
    before: pd.DataFrame, after: pd.DataFrame | None, temperature: float | None, path: Path
) -> None:
    """Draw accuracy against confidence, above the share of pairs.

    before, after: reliability tables; after and temperature are None if none was fitted.
    """
    figure = Figure(figsize=(5.6, 6.6), layout="constrained")
    accuracy, pairs = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1.0))
    accuracy.plot(
        [0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.0, label="as sure as right"
    )
    _draw_reliability(accuracy, pairs, before, BLUE, "as answered")
    if after is not None:
        _draw_reliability(accuracy, pairs, after, ORANGE, f"temperature {temperature:.2f}")
    low = min(0.3, float(before.loc[before["pairs"] > 0, "low"].min()))
    accuracy.set(xlim=(low, 1.0), ylim=(0.0, 1.02))
    for axis in (accuracy.xaxis, accuracy.yaxis, pairs.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    accuracy.legend(frameon=False, loc="upper left")
    titled(accuracy, _reliability_title(before), "", "accuracy")
    titled(pairs, "", "confidence: probability of the answer", "pairs")
    save(figure, path)


def plot_subgroups(table: pd.DataFrame, path: Path) -> None:
    """Draw accuracy of every row, and the mean error of every group. table: from Subgroups."""
    shown = table if len(table) <= MOST_ROWS else table[table["kind"] != "across"]
    shown = shown.iloc[::-1].reset_index(drop=True)
    figure = Figure(figsize=(9.6, 1.7 + 0.33 * len(shown)), layout="constrained")
    accuracy, error = figure.subplots(1, 2, sharey=True, width_ratios=(1.5, 1.0))
    within = shown["kind"].str.endswith("within")
    for rows, color, label in (
        (shown[within], BLUE, "both images of one group"),
        (shown[~within], ORANGE, "of two groups"),
    ):
        _draw_rows(accuracy, rows, "accuracy", color, label)
    _draw_rows(error, shown[shown["kind"] == "within"], "mean_error", BLUE, "")
    error.axvline(0.0, color=GREY, linestyle="--", linewidth=1.0)
    names = [_row_name(row) for _, row in shown.iterrows()]
    accuracy.set_yticks(range(len(shown)), names, parse_math=False)
    accuracy.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    titled(accuracy, _subgroup_title(table), "accuracy, 95 % interval", "")
    titled(error, _error_title(table), "mean of estimate - score, in points", "")
    save(figure, path)


def _draw_reliability(
    accuracy: Axes, pairs: Axes, table: pd.DataFrame, color: str, name: str
) -> None:
    filled = table[table["pairs"] > 0]
    label = f"{name}, ECE {expected_calibration_error(table):.3f}"
    accuracy.plot(filled["confidence"], filled["accuracy"], "o-", color=color, label=label)
    edges = [*table["low"], table["high"].iloc[-1]]
    pairs.stairs(table["pairs"] / table["pairs"].sum(), edges, color=color, linewidth=1.8)


def _draw_rows(axes: Axes, rows: pd.DataFrame, column: str, color: str, label: str) -> None:
    errors = _errors(rows, column)
    axes.errorbar(rows[column], rows.index, xerr=errors, color=color, label=label, **DOT)


def _errors(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Return interval lengths below and above the values, shape (2, rows); 0 where unknown."""
    value, low, high = (rows[f"{column}{end}"].to_numpy() for end in ("", "_low", "_high"))
    return np.maximum(np.nan_to_num(np.stack([value - low, high - value])), 0.0)


def _row_name(row: pd.Series) -> str:
    name = row["kind"] if row["kind"].startswith("all") else row["group"]
    crossed = f" and {row['other']}" if row["kind"] == "across" else ""
    return f"{name}{crossed} ({row['pairs']:,})"


def _gap_title(table: pd.DataFrame) -> str:
    asked = table[table["pairs"] > 0]
    hardest = asked.iloc[int(asked["accuracy"].to_numpy().argmin())]
    return (
        f"Hardest from {hardest['low']:g} to {hardest['high']:g} points: "
        f"{hardest['accuracy']:.1%} right"
    )


def _reliability_title(before: pd.DataFrame) -> str:
    filled = before[before["pairs"] > 0]
    confidence, accuracy = (
        np.average(filled[column], weights=filled["pairs"]) for column in ("confidence", "accuracy")
    )
    return f"{confidence:.1%} sure on average, {accuracy:.1%} right"


def _subgroup_title(table: pd.DataFrame) -> str:
    extremes = extreme_groups(table, "accuracy")
    if not extremes:
        return "Accuracy: groups too small to compare"
    high, low = (table.iloc[row] for row in extremes)
    best = f"{high['accuracy']:.1%} within {high['group']}"
    return f"Accuracy from {low['accuracy']:.1%} within {low['group']}\nto {best}"


def _error_title(table: pd.DataFrame) -> str:
    extremes = extreme_groups(table, "mean_error")
    if not extremes:
        return "Error of the estimates"
    high, low = (table["mean_error"].iloc[row] for row in extremes)
    return f"Mean errors of groups\nat most {high - low:.2f} points apart"
