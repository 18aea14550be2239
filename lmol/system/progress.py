"""Progress: a bar on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import get_console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from lmol.system.distributed import process_index

log = logging.getLogger(__name__)

PLAIN_LINES = 4
"""Number of log lines from start to end if the output is not a terminal."""

QUIET = 2.0
"""Seconds of work without log lines."""

Advance = Callable[[int], None]


class RateColumn(ProgressColumn):
    """Column with the recent speed, in units a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Return the speed as text; empty until there is one."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {self._unit}/s")


@contextmanager
def progress(description: str, total: int, unit: str) -> Iterator[Advance]:
    """Show the progress of `total` units; the yielded function adds units that were done.

    If there are several processes, one shows it.
    """
    console = get_console()
    if process_index() != 0:
        yield lambda units: None
        return
    if not console.is_terminal:
        yield _plain_lines(description, total, unit)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        RateColumn(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda units: bar.advance(task, units)


def _plain_lines(description: str, total: int, unit: str) -> Advance:
    start, done = time.monotonic(), 0

    def advance(units: int) -> None:
        nonlocal done
        quarters, done = done * PLAIN_LINES // max(total, 1), done + units
        seconds = time.monotonic() - start
        if seconds >= QUIET and done * PLAIN_LINES // max(total, 1) > quarters:
            rate = done / max(seconds, 1e-9)
            left = max(total - done, 0) / rate
            line = "%s: %d of %d %s (%.0f/s, %.0f s left)"
            log.info(line, description, done, total, unit, rate, left)

    return advance
