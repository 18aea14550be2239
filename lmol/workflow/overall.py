"""All folds of a sweep together: one confusion matrix, and mean and SD of every metric."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from lmol.evaluation.answers import confusion_table
from lmol.evaluation.metrics import Shown, shown_in
from lmol.evaluation.over_folds import metrics_over_folds
from lmol.evaluation.plots import plot_confusion
from lmol.runs.result_folder import ResultFolder
from lmol.runs.run_folder import RunFolder

log = logging.getLogger(__name__)

SHOWN = tuple(metric.key for metric in shown_in(Shown.FOLDS))


def save_overall(run: RunFolder, parts: Mapping[int, ResultFolder]) -> None:
    """Write folds.csv, metrics.json, confusion.csv and its picture over the folds in `parts`."""
    metrics = {
        fold: json.loads((part.path / "metrics.json").read_text()) for fold, part in parts.items()
    }
    folds = pd.DataFrame.from_dict(metrics, orient="index").rename_axis("fold")
    confusion = save_confusion(run, [part.path for part in parts.values()])
    run.write_table("folds.csv", folds.reset_index())
    pairs = int(confusion.to_numpy().sum())
    right = float(confusion.to_numpy().trace()) / pairs
    pooled = {"folds": len(folds), "pairs": pairs, "accuracy": right}
    run.write_json("metrics.json", {**pooled, "over_folds": metrics_over_folds(metrics.values())})
    shown = folds[[name for name in SHOWN if name in folds]]
    summary = pd.concat([shown, shown.agg(["mean", "std"])])
    log.info("All folds:\n%s", summary.to_string(float_format="{:.4f}".format))
    log.info("Confusion matrix of %d pairs:\n%s", pairs, confusion.to_string())


def save_confusion(results: ResultFolder, runs: Iterable[Path]) -> pd.DataFrame:
    """Write confusion.csv and its picture over the predictions of all runs; returns the table."""
    confusion = confusion_of(runs)
    results.write_table("confusion.csv", confusion.reset_index())
    plot_confusion(confusion, results.folder("plots") / "confusion.png")
    return confusion


def confusion_of(runs: Iterable[Path]) -> pd.DataFrame:
    """Over the predictions of all runs together."""
    read = [pd.read_csv(run / "predictions.csv", usecols=["label", "pred"]) for run in runs]
    predictions = pd.concat(read, ignore_index=True)
    return confusion_table(predictions["label"], predictions["pred"])
