"""All folds together, of each setting of a sweep: confusion matrix, mean and SD of every metric."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lmol.config.sweeping import Cell
from lmol.evaluation.answers import confusion_table
from lmol.evaluation.metric import Shown
from lmol.evaluation.metrics import shown_in
from lmol.evaluation.over_folds import metrics_over_folds
from lmol.evaluation.plots import plot_confusion
from lmol.runs.result_folder import ResultFolder
from lmol.runs.run_folder import RunFolder
from lmol.runs.sweep_jobs import SweptJob

log = logging.getLogger(__name__)

SHOWN = tuple(metric.key for metric in shown_in(Shown.FOLDS))


@dataclass(frozen=True, kw_only=True)
class SweptSetting:
    """One setting of the swept keys, with its jobs in the order of their folds."""

    values: Cell
    jobs: list[SweptJob]

    @property
    def label(self) -> str:
        """Return the swept values, as in a folder's name; empty if only folds are swept."""
        return ",".join(f"{key}={value}" for key, value in self.values.items())

    @property
    def short_label(self) -> str:
        """Return the swept values, each with the last part of its key."""
        return ", ".join(
            f"{key.rpartition('.')[2]} {f'{value:.4g}' if isinstance(value, float) else value}"
            for key, value in self.values.items()
        )

    @property
    def done(self) -> list[SweptJob]:
        """Return the finished jobs."""
        return [job for job in self.jobs if job.done]

    def summary(self) -> dict[str, Any]:
        """Return the entry of sweep.json.

        If a fold is missing, over_folds is None and over_finished_folds has the mean of the others,
        so that it is not mistaken for the mean of all.
        """
        missing = [job.fold for job in self.jobs if not job.done]
        found = metrics_over_folds(job.metrics() for job in self.done)
        return {
            "swept": self.values,
            "folds_wanted": [job.fold for job in self.jobs],
            "folds_done": [job.fold for job in self.done],
            "folds_missing": missing,
            "over_folds": None if missing else found,
            "over_finished_folds": found if missing else None,
        }


def by_setting(jobs: Sequence[SweptJob]) -> list[SweptSetting]:
    """Group jobs by their setting of the swept keys, in the order of the jobs; sort folds."""
    groups: dict[str, list[SweptJob]] = {}
    for job in jobs:
        groups.setdefault(json.dumps(job.values, sort_keys=True), []).append(job)
    return [
        SweptSetting(values=group[0].values, jobs=sorted(group, key=lambda job: job.fold))
        for group in groups.values()
    ]


def save_overall(run: RunFolder, parts: Mapping[int, ResultFolder]) -> None:
    """Write folds.csv, metrics.json, confusion.csv and its picture over the folds in `parts`."""
    metrics = {
        fold: json.loads((part.path / "metrics.json").read_text()) for fold, part in parts.items()
    }
    folds = pd.DataFrame.from_dict(metrics, orient="index").rename_axis("fold")
    confusion = confusion_of(part.path for part in parts.values())
    run.write_table("confusion.csv", confusion.reset_index())
    plot_confusion(confusion, run.folder("plots") / "confusion.png")
    run.write_table("folds.csv", folds.reset_index())
    pairs = int(confusion.to_numpy().sum())
    right = float(confusion.to_numpy().trace()) / pairs
    pooled = {"folds": len(folds), "pairs": pairs, "accuracy": right}
    run.write_json("metrics.json", {**pooled, "over_folds": metrics_over_folds(metrics.values())})
    shown = folds[[name for name in SHOWN if name in folds]]
    summary = pd.concat([shown, shown.agg(["mean", "std"])])
    log.info("All folds:\n%s", summary.to_string(float_format="{:.4f}".format))
    log.info("Confusion matrix of %d pairs:\n%s", pairs, confusion.to_string())


def confusion_of(runs: Iterable[Path]) -> pd.DataFrame:
    """Return the confusion matrix over the predictions of all runs together."""
    read = [pd.read_csv(run / "predictions.csv", usecols=["label", "pred"]) for run in runs]
    predictions = pd.concat(read, ignore_index=True)
    return confusion_table(predictions["label"], predictions["pred"])
