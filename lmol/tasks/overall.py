"""All folds of a sweep together: one confusion matrix, and mean and SD of every metric."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

import pandas as pd

from lmol.evaluation.metrics import confusion_table
from lmol.evaluation.plots import plot_confusion
from lmol.tracking.result_folder import ResultFolder
from lmol.tracking.run_folder import RunFolder

log = logging.getLogger(__name__)

SHOWN = ("accuracy", "macro_f1", "order_consistency", "pearson", "spearman", "mae", "ece")


def save_overall(run: RunFolder, parts: Mapping[int, ResultFolder]) -> None:
    """Write folds.csv, metrics.json, confusion.csv and its picture over the folds in `parts`."""
    folds = _metrics_by_fold(parts)
    predictions = pd.concat(
        [pd.read_csv(part.path / "predictions.csv") for part in parts.values()], ignore_index=True
    )
    confusion = confusion_table(predictions["label"], predictions["pred"])
    run.write_table("folds.csv", folds.reset_index())
    run.write_table("confusion.csv", confusion.reset_index())
    run.write_json("metrics.json", _summary(folds, predictions))
    plot_confusion(confusion, run.folder("plots") / "confusion.png")
    shown = folds[[name for name in SHOWN if name in folds]]
    summary = pd.concat([shown, shown.agg(["mean", "std"])])
    log.info("All folds:\n%s", summary.to_string(float_format="{:.4f}".format))
    log.info("Confusion matrix of %d pairs:\n%s", len(predictions), confusion.to_string())


def _metrics_by_fold(parts: Mapping[int, ResultFolder]) -> pd.DataFrame:
    metrics = {
        fold: json.loads((part.path / "metrics.json").read_text()) for fold, part in parts.items()
    }
    return pd.DataFrame.from_dict(metrics, orient="index").rename_axis("fold")


def _summary(folds: pd.DataFrame, predictions: pd.DataFrame) -> dict[str, object]:
    """By metric its mean and SD over folds; of all pairs together, accuracy and number."""
    numbers = folds.apply(pd.to_numeric, errors="coerce").dropna(axis="columns", how="all")
    by_metric = {
        name: {"mean": column.mean(), "sd": column.std()} for name, column in numbers.items()
    }
    right = predictions["label"] == predictions["pred"]
    pooled = {"folds": len(folds), "pairs": len(right), "accuracy": right.mean()}
    return {**pooled, "over_folds": by_metric}
