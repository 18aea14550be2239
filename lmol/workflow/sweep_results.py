"""The results of a sweep's jobs: sweep.json, sweep.csv, confusion matrix, and the table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich import get_console

from lmol.config.resolvers import slug
from lmol.evaluation.plots import plot_confusion
from lmol.runs.result_folder import ResultFolder
from lmol.runs.sweep_folder import SweepRecord
from lmol.runs.sweep_jobs import SweptJob
from lmol.workflow.overall import SweptSetting, by_setting, confusion_of
from lmol.workflow.sweep_tables import (
    job_messages,
    table_of_folds,
    table_of_settings,
    title_of_folds,
    title_of_settings,
)


def save_sweep(
    results: ResultFolder, record: SweepRecord, jobs: Sequence[SweptJob], start: float
) -> None:
    """Write all files, and print the main results. start: as in end_sweep."""
    settings = by_setting(jobs)
    results.write_table("sweep.csv", job_table(jobs))
    save_confusions(results, settings)
    seconds = seconds_of(jobs, start)
    facts = {
        "recipe": record.name,
        "status": "done" if all(job.done for job in jobs) else "unfinished",
        "signature": record.signature,
        "swept_keys": record.keys,
        "jobs": [job_facts(job) for job in jobs],
        "groups": [setting.summary() for setting in settings],
        **seconds,
    }
    results.write_json("sweep.json", facts)
    show(results, record, settings, seconds)


def job_facts(job: SweptJob) -> dict[str, Any]:
    """Return the entry of a job in sweep.json; costs are None if the job did not end.

    rss: resident memory in bytes, before and after the job.
    """
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
    """Return a row per job: its facts, a column per swept key, its metrics, and its error last."""
    rows = []
    for job in jobs:
        facts = job_facts(job)
        rows.append(facts | facts.pop("swept") | job.metrics())
    table = pd.DataFrame(rows)
    return table[[*(name for name in table if name != "error"), "error"]]


def save_confusions(results: ResultFolder, settings: Sequence[SweptSetting]) -> None:
    """Write confusion.csv, and a picture per setting, over the finished folds."""
    tables = []
    for setting in filter(lambda setting: setting.done, settings):
        name = f"_{slug(setting.label)}" if len(settings) > 1 else ""
        confusion = confusion_of(job.folder for job in setting.done if job.folder)
        plot_confusion(confusion, results.folder("plots") / f"confusion{name}.png")
        folds = " ".join(str(job.fold) for job in setting.done)
        values = {key: str(value) for key, value in setting.values.items()}
        tables.append(confusion.reset_index().assign(folds=folds, **values))
    if tables:
        results.write_table("confusion.csv", pd.concat(tables))


def seconds_of(jobs: Sequence[SweptJob], start: float) -> dict[str, float]:
    """Return wall-clock seconds of this command's sweep, of its jobs, and outside of any job."""
    end = time.time()
    own = [job.costs for job in jobs if job.costs and job.costs.start >= start]
    busy, until = 0.0, 0.0
    for costs in sorted(own, key=lambda costs: costs.start):
        busy += max(costs.end - max(costs.start, until), 0.0)
        until = max(until, costs.end)
    return {
        "seconds": end - start,
        "seconds_of_jobs": sum(costs.end - costs.start for costs in own),
        "seconds_outside_jobs": end - start - busy,
    }


def show(
    results: ResultFolder,
    record: SweepRecord,
    settings: Sequence[SweptSetting],
    seconds: dict[str, float],
) -> None:
    """Print the table, each unfinished job with its reason, and the sweep folder."""
    console = get_console()
    jobs = [job for setting in settings for job in setting.jobs]
    if len(settings) == 1:
        title, table = title_of_folds(record.name, jobs), table_of_folds(jobs)
    else:
        title, table = title_of_settings(record.name, jobs), table_of_settings(settings)
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    console.print(table)
    unfinished = [job for job in jobs if not job.done]
    lines = list(job_messages(unfinished))
    if unfinished:
        lines.append(f"The same command with hydra.sweep.dir={results.path} continues it.")
    spent = "{seconds:.0f} s, of which {seconds_outside_jobs:.1f} s outside of the jobs"
    lines.append(f"Sweep folder: {results.path} ({spent.format(**seconds)})")
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
