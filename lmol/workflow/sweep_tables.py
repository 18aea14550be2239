"""Terminal tables and messages at the end of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from lmol.evaluation.metric import Shown
from lmol.evaluation.metrics import shown_in
from lmol.evaluation.over_folds import OverFolds, metrics_over_folds, over_folds
from lmol.runs.sweep_jobs import SweptJob
from lmol.workflow.overall import SHOWN, SweptSetting

OF_SETTINGS = tuple(metric.key for metric in shown_in(Shown.SETTINGS))

SUMMARY: tuple[tuple[str, Literal["mean", "sd", "low", "high"]], ...] = (
    ("mean", "mean"),
    ("SD", "sd"),
    ("95 %", "low"),
    ("", "high"),
)
"""Rows below the folds: heading, and field of OverFolds."""


def table_of_folds(jobs: Sequence[SweptJob]) -> Table:
    """Return a row per fold; below, mean, SD and interval over the finished folds."""
    found = shown_metrics(jobs)
    table = _table(["fold", *found])
    for job in jobs:
        metrics = job.metrics()
        cells = [cell(metrics.get(name)) for name in found]
        table.add_row(str(job.fold), *(cells if job.done else [job.status]))
    if any(job.done for job in jobs):
        table.add_section()
        for heading, field in SUMMARY:
            table.add_row(heading, *(cell(over[field]) for over in found.values()))
    return table


def table_of_settings(settings: Sequence[SweptSetting]) -> Table:
    """Return a row per setting: mean ± half of the 95 % interval over its finished folds."""
    shown = shown_metrics([job for setting in settings for job in setting.jobs])
    metrics = [name for name in shown if name in OF_SETTINGS]
    table = _table(["swept", "folds", "validation", *metrics])
    for setting in settings:
        num, done, found = len(setting.jobs), setting.done, shown_metrics(setting.jobs)
        folds = str(num) if len(done) == num else f"{len(done)} of {num}"
        cells = [interval(found[name]) for name in metrics] if done else []
        table.add_row(escape(setting.short_label), folds, validation(done), *cells)
    return table


def _table(columns: Sequence[str]) -> Table:
    """Return a table whose headings have one word per line, so that it fits a narrow terminal."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        words = column.split("_")
        table.add_column(
            "\n".join(words),
            justify="left" if column == "swept" else "right",
            overflow="fold",
            min_width=max(map(len, words)),
        )
    return table


def title_of_settings(name: str, jobs: Sequence[SweptJob]) -> str:
    """Return the recipe, and how many jobs the numbers include."""
    done = sum(job.done for job in jobs)
    return f"{name}: {done} of {len(jobs)} jobs done; mean ± 95 % interval over folds"


def title_of_folds(name: str, jobs: Sequence[SweptJob]) -> str:
    """Return the recipe, and which folds the numbers exclude."""
    missing = [str(job.fold) for job in jobs if not job.done]
    if not missing:
        return f"{name}: {len(jobs)} folds"
    done = len(jobs) - len(missing)
    return f"{name}: only {done} of {len(jobs)} folds, without {', '.join(missing)}"


def job_messages(jobs: Sequence[SweptJob]) -> Iterator[str]:
    """Yield a line per unfinished job: its values, its status and the reason."""
    for job in jobs:
        values = "".join(f", {key}={value}" for key, value in job.values.items())
        reason = (job.error or "").strip().splitlines()
        why = f": {reason[-1 if reason[0].startswith('Traceback') else 0]}" if reason else ""
        yield f"fold {job.fold}{values} {job.status}{why}"


def shown_metrics(jobs: Sequence[SweptJob]) -> dict[str, OverFolds]:
    """Summarise over the finished jobs each metric of the table that all of them have."""
    found = metrics_over_folds(job.metrics() for job in jobs if job.done)
    return {name: found[name] for name in SHOWN if name in found}


def validation(done: Sequence[SweptJob]) -> str:
    """Return the mean over folds of the validation metric, by which a setting is chosen."""
    values = [job.validation for job in done if job.validation is not None]
    return cell(over_folds(values)["mean"])


def interval(over: OverFolds) -> str:
    """Return mean ± half of the interval."""
    high, mean = over["high"], over["mean"]
    return cell(mean) + ("" if mean is None or high is None else f" ± {high - mean:.3f}")


def cell(value: float | None) -> str:
    """Return the number as text; empty for None."""
    return "" if value is None else f"{value:.4f}"
