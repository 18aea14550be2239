"""Pictures of one run as PNG: confusion matrix, ranking, learning curves and an overview."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

from lmol.evaluation.figures import BLUE, GREY, ORANGE, save, thumbnail, titled
from lmol.evaluation.metrics import correlation_metrics

STRIP = 5
"""Images from each end of the ranking in the overview."""

COMPARABLE = "eval_comparable_cross_entropy"

Record = Mapping[str, Any]


def plot_confusion(confusion: pd.DataFrame, path: Path) -> None:
    """Draw counts, rows the label, columns the answer (answers.confusion_table)."""
    figure = Figure(figsize=(4.8, 4.6), layout="constrained")
    _draw_confusion(figure.add_subplot(), confusion)
    save(figure, path)


def plot_ranking(ranking: pd.DataFrame, slope: float, path: Path) -> None:
    """Draw score against estimate. ranking: as in ranking.csv; slope: points of score per logit."""
    figure = Figure(figsize=(5.4, 5.4), layout="constrained")
    _draw_ranking(figure.add_subplot(), ranking, slope)
    save(figure, path)


def plot_learning_curves(records: Sequence[Record], path: Path) -> None:
    """Draw loss and accuracy by optimizer step. records: the lines of metrics.jsonl.

    A training record has step, loss, cross_entropy and accuracy; a validation record has step,
    eval_comparable_cross_entropy (on training's scale) and eval_accuracy.
    """
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    _draw_curve(loss, records, "loss", color=GREY, linewidth=1.0, label="training: whole loss")
    entropy = "training: cross-entropy"
    _draw_training_and_validation(loss, records, "cross_entropy", entropy, COMPARABLE)
    _draw_training_and_validation(accuracy, records, "accuracy", "training", "eval_accuracy")
    titled(loss, "Loss", "optimizer step", "nats")
    titled(accuracy, "Accuracy of the verdict", "optimizer step", "")
    loss.set_ylim(bottom=0.0)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for axes in (loss, accuracy):
        axes.legend(frameon=False)
    save(figure, path)


def plot_overview(
    ranking: pd.DataFrame,
    image_paths: Mapping[str, str],
    confusion: pd.DataFrame,
    slope: float | None,
    path: Path,
) -> None:
    """Draw both ends of the ranking as pictures, above ranking and confusion matrix.

    image_paths: file of each image id. slope: None without scores; strengths are then drawn by
    rank. Raises DataError if one of the files is no image.
    """
    figure = Figure(figsize=(12.0, 8.0), layout=ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.09))
    (best, worst), (left, right) = figure.subfigures(2, 2, squeeze=False, height_ratios=(0.32, 1.0))
    shown = min(STRIP, len(ranking) // 2)
    _draw_strip(best, ranking.head(shown), image_paths, "Ranked highest")
    _draw_strip(worst, ranking.tail(shown), image_paths, "Ranked lowest")
    if slope is None:
        _draw_strengths(left.add_subplot(), ranking)
    else:
        _draw_ranking(left.add_subplot(), ranking, slope)
    _draw_confusion(right.add_subplot(), confusion)
    save(figure, path)


def _draw_confusion(axes: Axes, confusion: pd.DataFrame) -> None:
    counts = confusion.to_numpy()
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), share in np.ndenumerate(shares):
        percent = f"{share:.1%}" if totals[row, 0] else "-"
        color = "white" if share > 0.55 else "black"
        style: dict[str, Any] = {"ha": "center", "color": color}
        axes.text(column, row - 0.04, percent, va="bottom", fontsize=14, **style)
        axes.text(column, row + 0.06, f"{counts[row, column]:,}", va="top", fontsize=10, **style)
    axes.set_xticks(range(len(confusion.columns)), confusion.columns)
    axes.set_yticks(range(len(confusion.index)), confusion.index, rotation=90, va="center")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    title = f"{counts.sum():,} pairs, accuracy {accuracy:.1%}"
    titled(axes, title, "answer of the model", "label")


def _draw_ranking(axes: Axes, ranking: pd.DataFrame, slope: float) -> None:
    score, estimate = ranking["score"].to_numpy(), ranking["estimate"].to_numpy()
    error = abs(slope) * ranking["stderr"].to_numpy()
    low = min(score.min(), (estimate - error).min())
    high = max(score.max(), (estimate + error).max())
    margin = 0.04 * (high - low) or 0.5
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=GREY, linestyle="--", linewidth=1.0, label="estimate = score")
    _draw_points(axes, score, estimate, error, "image, with one standard error")
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.legend(frameon=False, loc="best")
    metrics = correlation_metrics(score, ranking["strength"].to_numpy(), estimate)
    pearson = "undefined" if metrics["pearson"] is None else f"{metrics['pearson']:.3f}"
    title = f"{len(ranking):,} images, Pearson {pearson}, MAE {metrics['mae']:.3f}"
    titled(axes, title, "score of the raters", "estimate from comparisons")


def _draw_strengths(axes: Axes, ranking: pd.DataFrame) -> None:
    _draw_points(axes, ranking["rank"], ranking["strength"], ranking["stderr"], None)
    axes.invert_xaxis()
    titled(axes, f"{len(ranking):,} images, with one standard error", "rank", "strength in logits")


def _draw_points(axes: Axes, x: Any, y: Any, error: Any, label: str | None) -> None:
    """Draw points with errors, in an opacity that shows a few clearly, and many by density."""
    alpha = float(np.clip(10.0 / np.sqrt(len(x)), 0.25, 0.8))
    axes.errorbar(
        x, y, yerr=error, fmt="o", color=BLUE, markersize=4.0, alpha=alpha, markeredgewidth=0.0,
        elinewidth=1.0, label=label,
    )  # fmt: skip


def _draw_strip(
    figure: SubFigure, ranking: pd.DataFrame, image_paths: Mapping[str, str], title: str
) -> None:
    figure.suptitle(title, fontsize=12, fontweight="bold")
    known = [name for name in ("score", "estimate") if name in ranking] or ["strength"]
    for place, (_, row) in enumerate(ranking.iterrows(), start=1):
        axes = figure.add_subplot(1, STRIP, place)
        axes.imshow(thumbnail(image_paths[row["image"]]))
        axes.set_axis_off()
        title = "\n".join(f"{name} {row[name]:.2f}" for name in known)
        axes.set_title(title, y=-0.44, fontsize=9.5)
        axes.set_anchor("N")


def _draw_training_and_validation(
    axes: Axes, records: Sequence[Record], name: str, training: str, validation: str
) -> None:
    _draw_curve(axes, records, name, color=BLUE, linewidth=1.2, label=training)
    _draw_curve(
        axes, records, validation, color=ORANGE, linewidth=2.0, marker="o", markersize=5.0,
        label=training.replace("training", "validation"),
    )  # fmt: skip


def _draw_curve(axes: Axes, records: Iterable[Record], name: str, **style: Any) -> None:
    points = [(record["step"], record[name]) for record in records if name in record]
    axes.plot([step for step, _ in points], [value for _, value in points], **style)
