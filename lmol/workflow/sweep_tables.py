"""What the end of a sweep shows on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from lmol.evaluation.metrics import Shown, shown_in
from lmol.evaluation.over_folds import OverFolds, over_folds
from lmol.runs.sweep_jobs import SweptJob
from lmol.workflow.overall import SHOWN

OF_GROUPS = tuple(metric.key for metric in shown_in(Shown.SETTINGS))

GroupRow = tuple[str, int, Sequence[SweptJob], Sequence[int]]
"""Label, number of jobs, those that are done, and the missing folds."""


def table_of_folds(jobs: Sequence[SweptJob]) -> Table:
    """A row a fold; below, mean, SD and interval over those that are done, which are counted."""
    done = [job for job in jobs if job.done]
    metrics = shown_metrics(done)
    table = _table(["fold", *metrics])
    for job in jobs:
        cells = [cell(job.metrics().get(metric)) for metric in metrics]
        table.add_row(str(job.fold), *(cells if job.done else [job.status]))
    if done:
        table.add_section()
        for row in summary_rows(metrics, done):
            table.add_row(*row)
    return table


def summary_rows(metrics: Sequence[str], done: Sequence[SweptJob]) -> Iterator[list[str]]:
    """Mean, SD and both ends of the interval."""
    found = [summary(metric, done) for metric in metrics]
    yield ["mean", *(cell(over.mean) for over in found)]
    yield ["SD", *(cell(over.sd) for over in found)]
    yield ["95 %", *(cell(over.low) for over in found)]
    yield ["", *(cell(over.high) for over in found)]


def table_of_groups(groups: Sequence[GroupRow]) -> Table:
    """A row a setting of the swept keys, mean ± half of the 95 % interval over its folds."""
    done = [job for _, _, finished, _ in groups for job in finished]
    metrics = [name for name in shown_metrics(done) if name in OF_GROUPS]
    table = _table(["swept", "folds", "validation", *metrics])
    for label, num, finished, missing in groups:
        folds = f"{len(finished)} of {num}" if missing else str(num)
        cells = [interval(summary(metric, finished)) for metric in metrics] if finished else []
        table.add_row(escape(label), folds, validation(finished), *cells)
    return table


def _table(columns: Sequence[str]) -> Table:
    """Words of a heading stand below each other, each whole, so that it fits a narrow terminal."""
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


def title_of_groups(name: str, jobs: Sequence[SweptJob]) -> str:
    """The recipe, and how many jobs the numbers leave out."""
    done = sum(job.done for job in jobs)
    return f"{name}: {done} of {len(jobs)} jobs done; mean ± 95 % interval over folds"


def title_of_folds(name: str, jobs: Sequence[SweptJob]) -> str:
    """The recipe, and which folds the numbers leave out."""
    missing = [str(job.fold) for job in jobs if not job.done]
    if not missing:
        return f"{name}: {len(jobs)} folds"
    done = len(jobs) - len(missing)
    return f"{name}: only {done} of {len(jobs)} folds, without {', '.join(missing)}"


def job_messages(jobs: Sequence[SweptJob]) -> Iterator[str]:
    """A line a job that is not done: which, and why."""
    for job in jobs:
        values = "".join(f", {key}={value}" for key, value in job.values.items())
        reason = (job.error or "").strip().splitlines()
        why = f": {reason[-1 if reason[0].startswith('Traceback') else 0]}" if reason else ""
        yield f"fold {job.fold}{values} {job.status}{why}"


def shown_metrics(done: Sequence[SweptJob]) -> list[str]:
    """Those that all folds have."""
    metrics = [job.metrics() for job in done]
    return [name for name in SHOWN if metrics and all(m.get(name) is not None for m in metrics)]


def summary(metric: str, done: Sequence[SweptJob]) -> OverFolds:
    """Summarise one metric over the finished jobs."""
    return over_folds([float(job.metrics()[metric]) for job in done])


def validation(done: Sequence[SweptJob]) -> str:
    """Mean over folds of what the jobs returned; a setting is chosen by it, not by the others."""
    values = [job.validation for job in done if job.validation is not None]
    return cell(over_folds(values).mean) if values else ""


def interval(over: OverFolds) -> str:
    """Mean ± half of the interval."""
    if over.mean is None or over.high is None:
        return cell(over.mean)
    return f"{cell(over.mean)} ± {over.high - over.mean:.3f}"


def cell(value: float | None) -> str:
    """Empty where there is none."""
    return "" if value is None else f"{value:.4f}"
