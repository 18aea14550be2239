"""The results of a sweep's jobs: sweep.json, sweep.csv, confusion matrix, and the table."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich import get_console

from lmol.config.resolvers import slug
from lmol.config.sweeping import Cell
from lmol.evaluation.over_folds import metrics_over_folds
from lmol.evaluation.plots import plot_confusion
from lmol.runs.job_record import Costs
from lmol.runs.result_folder import ResultFolder
from lmol.runs.sweep_folder import SweepRecord
from lmol.runs.sweep_jobs import SweptJob
from lmol.workflow.overall import confusion_of
from lmol.workflow.sweep_tables import (
    job_messages,
    table_of_folds,
    table_of_groups,
    title_of_folds,
    title_of_groups,
)


@dataclass(frozen=True, kw_only=True)
class FoldsOf:
    """The folds of one setting of the swept keys."""

    values: Cell
    jobs: list[SweptJob]

    @property
    def label(self) -> str:
        """The swept values, as in a folder's name; empty where only folds are swept."""
        return ",".join(f"{key}={value}" for key, value in self.values.items())

    @property
    def short_label(self) -> str:
        """Keys by their last part."""
        parts = ((key.rpartition(".")[2], value) for key, value in self.values.items())
        return ", ".join(
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in parts
        )

    @property
    def done(self) -> list[SweptJob]:
        return [job for job in self.jobs if job.done]

    @property
    def missing(self) -> list[int]:
        return [job.fold for job in self.jobs if not job.done]

    def summary(self) -> dict[str, Any]:
        """Return the entry of sweep.json.

        Where a fold is missing, over_folds is None and over_finished_folds has the mean of the
        others, which does not pass for the mean of all.
        """
        found = metrics_over_folds([job.metrics() for job in self.done])
        return {
            "swept": self.values,
            "folds_wanted": [job.fold for job in self.jobs],
            "folds_done": [job.fold for job in self.done],
            "folds_missing": self.missing,
            "over_folds": None if self.missing else found,
            "over_finished_folds": found if self.missing else None,
        }


def save_sweep(
    results: ResultFolder, record: SweepRecord, jobs: Sequence[SweptJob], start: float
) -> None:
    """Write all files, and print what they say. start: as in end_sweep."""
    groups = grouped(jobs)
    results.write_table("sweep.csv", job_table(jobs))
    save_confusions(results, groups)
    seconds = seconds_of(jobs, start)
    facts = {
        "recipe": record.name,
        "status": "done" if all(job.done for job in jobs) else "unfinished",
        "signature": record.signature,
        "swept_keys": record.keys,
        "jobs": [job_facts(job) for job in jobs],
        "groups": [group.summary() for group in groups],
        **seconds,
    }
    results.write_json("sweep.json", facts)
    show(results, record, groups, seconds)


def grouped(jobs: Sequence[SweptJob]) -> list[FoldsOf]:
    """Group jobs by their setting of the swept keys, in the order of the jobs; sort folds."""
    by_values: dict[str, list[SweptJob]] = {}
    for job in jobs:
        by_values.setdefault(json.dumps(job.values, sort_keys=True), []).append(job)
    return [
        FoldsOf(values=alike[0].values, jobs=sorted(alike, key=lambda job: job.fold))
        for alike in by_values.values()
    ]


def job_facts(job: SweptJob) -> dict[str, Any]:
    """Memory in bytes, resident, before and after the job; None where it did not come to an end."""
    costs = job.costs
    return {
        "job": job.folder.name if job.folder else None,
        "fold": job.fold,
        "swept": job.values,
        "status": job.status,
        "validation": job.validation,
        "seconds": costs and costs.end - costs.start,
        "rss_before_bytes": costs and costs.rss_before,
        "rss_after_bytes": costs and costs.rss_after,
        "error": job.error,
    }


def job_table(jobs: Sequence[SweptJob]) -> pd.DataFrame:
    """A row a job: its facts, a column a swept key, and the metrics of its held-out fold."""
    rows = []
    for job in jobs:
        facts = job_facts(job)
        rows.append(facts | facts.pop("swept") | job.metrics())
    table = pd.DataFrame(rows)
    return table[[*(name for name in table if name != "error"), "error"]]


def save_confusions(results: ResultFolder, groups: Sequence[FoldsOf]) -> None:
    """confusion.csv and plots/confusion.png over the finished folds; of several settings, each."""
    tables = []
    for group in filter(lambda group: group.done, groups):
        name = f"_{slug(group.label)}" if len(groups) > 1 else ""
        confusion = confusion_of(job.folder for job in group.done if job.folder)
        plot_confusion(confusion, results.folder("plots") / f"confusion{name}.png")
        folds = " ".join(str(job.fold) for job in group.done)
        tables.append(confusion.reset_index().assign(folds=folds, **columns(group)))
    if tables:
        results.write_table("confusion.csv", pd.concat(tables))


def columns(group: FoldsOf) -> dict[str, str]:
    """The setting as columns of a table."""
    return {key: str(value) for key, value in group.values.items()}


def seconds_of(jobs: Sequence[SweptJob], start: float) -> dict[str, float]:
    """Wall-clock seconds of this command's sweep, of its jobs together, and outside of any job."""
    end = time.time()
    own = [job.costs for job in jobs if job.costs and job.costs.start >= start]
    return {
        "seconds": end - start,
        "seconds_of_jobs": sum(costs.end - costs.start for costs in own),
        "seconds_outside_jobs": end - start - busy(own),
    }


def busy(costs: Sequence[Costs]) -> float:
    """Seconds in which at least one job ran."""
    total, until = 0.0, 0.0
    for cost in sorted(costs, key=lambda cost: cost.start):
        total += max(cost.end - max(cost.start, until), 0.0)
        until = max(until, cost.end)
    return total


def show(
    results: ResultFolder,
    record: SweepRecord,
    groups: Sequence[FoldsOf],
    seconds: dict[str, float],
) -> None:
    """The table, the jobs that are not done with their reason, and where all of it is."""
    console = get_console()
    jobs = [job for group in groups for job in group.jobs]
    if len(groups) == 1:
        title, table = title_of_folds(record.name, jobs), table_of_folds(jobs)
    else:
        rows = [(group.short_label, len(group.jobs), group.done, group.missing) for group in groups]
        title, table = title_of_groups(record.name, jobs), table_of_groups(rows)
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    console.print(table)
    unfinished = [job for job in jobs if not job.done]
    lines = list(job_messages(unfinished))
    if unfinished:
        lines.append(f"The same command with hydra.sweep.dir={results.path} continues it.")
    spent = "{seconds:.0f} s, of which {seconds_outside_jobs:.1f} s outside of the jobs"
    lines.append(f"Sweep folder: {results.path} ({spent.format(**seconds)})")
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
