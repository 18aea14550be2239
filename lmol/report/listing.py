"""List of the runs below outputs/, newest first; the folds of a sweep share one row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from lmol.config.paths import shown
from lmol.config.schema import ReportConfig, RunStatus
from lmol.config.task_kinds import TRAIN
from lmol.evaluation.over_folds import over_folds
from lmol.report.numbers import fixed
from lmol.report.recipes import recipes_of
from lmol.report.runs import ReportedRun, is_run, runs_in

LISTING = "report"
"""The task that makes this list; its own runs are listed only on request."""

NUMBERS = ("accuracy", "Pearson")
LEAST = {"recipe": 8, "path": 24, "accuracy": 8}
"""Minimum width of a column on a narrow terminal, in characters."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row: one run, or a sweep's runs of one recipe and task. date: start of the first run."""

    name: str
    task: str
    folds: str
    accuracy: float | None
    pearson: float | None
    date: str
    status: RunStatus
    path: Path


def listed_runs(outputs: Path, wanted: ReportConfig) -> list[Entry]:
    """Return all runs and sweeps that pass the filters, newest first."""
    entries = [entry for entry in _entries(outputs) if _is_wanted(entry, wanted)]
    return sorted(entries, key=lambda entry: entry.date, reverse=True)


def table_of_runs(entries: Sequence[Entry], outputs: Path) -> Table:
    """Return the table that the terminal shows."""
    title = f"Runs below {outputs}, newest first"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for name in ("recipe", "task", "folds", "accuracy", "Pearson", "began (UTC)", "status", "path"):
        justify: Literal["left", "right"] = "right" if name in NUMBERS else "left"
        table.add_column(name, justify=justify, overflow="fold", min_width=LEAST.get(name))
    for entry in entries:
        cells = (
            entry.name, entry.task, entry.folds, fixed(entry.accuracy), fixed(entry.pearson),
            entry.date[:16].replace("T", " "), entry.status.value, str(entry.path),
        )  # fmt: skip
        table.add_row(*(escape(shown(cell)) for cell in cells))
    return table


def _entries(outputs: Path) -> Iterator[Entry]:
    for place in sorted(outputs.glob("*/*")):
        if is_run(place):
            yield _of_runs([ReportedRun.read(place)], place)
        else:
            yield from _of_sweep(place)


def _of_sweep(folder: Path) -> Iterator[Entry]:
    """Yield a row per recipe and task of the sweep; a job without a task counts as trained."""
    groups: dict[tuple[str, str], list[ReportedRun]] = {}
    for run in runs_in(folder):
        groups.setdefault((run.name, run.task or TRAIN), []).append(run)
    for runs in groups.values():
        yield _of_runs(runs, folder)


def _of_runs(runs: Sequence[ReportedRun], path: Path) -> Entry:
    first = runs[0]
    return Entry(
        name=first.name,
        task=first.task or "?",
        folds=_folds(runs),
        accuracy=_mean(runs, "accuracy"),
        pearson=_mean(runs, "pearson"),
        date=min(
            (str(run.manifest["start"]) for run in runs if "start" in run.manifest), default=""
        ),
        status=_status(runs),
        path=path,
    )


def _folds(runs: Sequence[ReportedRun]) -> str:
    """Return the finished folds out of those of the split; for other tasks, the folds used."""
    done = sorted({run.fold for run in runs if run.problem is None and run.fold is not None})
    if runs[0].task != TRAIN:
        return ", ".join(map(str, done))
    recipes, _ = recipes_of(runs)
    if not recipes:
        return "none"
    of, several = recipes[0].num_folds, f" x {len(recipes)}" if len(recipes) > 1 else ""
    which = "all" if len(done) == of else f"{', '.join(map(str, done)) or 'none'} of"
    return f"{which} {of}{several}"


def _mean(runs: Sequence[ReportedRun], metric: str) -> float | None:
    """Return the mean of a metric over the finished runs."""
    values = [run.metrics.get(metric) for run in runs if run.problem is None]
    return over_folds([float(value) for value in values if isinstance(value, float | int)])["mean"]


def _status(runs: Sequence[ReportedRun]) -> RunStatus:
    """Return the worst status: a sweep is done only if all of its runs are."""
    order = (RunStatus.FAILED, RunStatus.INTERRUPTED, RunStatus.UNFINISHED, RunStatus.DONE)
    return min((run.status for run in runs), key=order.index)


def _is_wanted(entry: Entry, wanted: ReportConfig) -> bool:
    task = entry.task != LISTING if wanted.task is None else entry.task == wanted.task
    name = wanted.name is None or fnmatchcase(entry.name, wanted.name)
    return task and name and wanted.status in (None, entry.status)
