"""The jobs of a sweep, read from their folders: any process may have run them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from lmol.config.sweeping import FOLD, Cell
from lmol.errors import RunFolderError
from lmol.runs.environment import process_lives
from lmol.runs.job_record import Costs, Failure, costs, failures
from lmol.runs.run_folder import DONE, FAILED, MANIFEST
from lmol.runs.run_lock import RUNNING
from lmol.runs.sweep_folder import KILLED, MISSING, SweepRecord, job_status
from lmol.system.files import UNREADABLE, read_mapping, require_mapping
from lmol.system.job_process import LONGEST_END, POLL

METRICS = "metrics.json"
KILLED_ERROR = "its process ended without a message: killed, or out of memory"


@dataclass(frozen=True, kw_only=True)
class SweptJob:
    """One job. folder: None if it was not started; values: of the swept keys.

    status: done, running, failed (or failed: health), killed, missing; validation: the metric that
    the task returned, which sweepers optimize.
    """

    folder: Path | None
    fold: int
    values: Cell
    status: str
    validation: float | None = None
    error: str | None = None
    costs: Costs | None = None

    @property
    def done(self) -> bool:
        return self.status == DONE

    @property
    def cell(self) -> Cell:
        """Return the values of the swept keys, with the fold."""
        return {FOLD: self.fold, **self.values}

    def metrics(self) -> dict[str, Any]:
        """Return the metrics of the held-out fold; empty if the job is not done.

        Raises RunFolderError if the job is done and its metrics cannot be read.
        """
        if not self.done or self.folder is None:
            return {}
        try:
            return require_mapping(json.loads((self.folder / METRICS).read_text(encoding="utf-8")))
        except UNREADABLE as error:
            raise _damaged(self.folder, error) from error


def _damaged(folder: Path, error: Exception) -> RunFolderError:
    return RunFolderError(
        folder,
        got=f"a finished job without readable {METRICS} ({error})",
        expected="the results that it wrote",
        remedy="move the folder away; the same command does the job again",
    )


def sweep_jobs(sweep: Path, record: SweepRecord) -> list[SweptJob]:
    """Return all jobs that were wanted or started: in the order of the wanted, then by folder."""
    taken, failed = costs(sweep), failures(sweep)
    started = [_started(path.parent, taken) for path in sorted(sweep.glob("*/" + MANIFEST))]
    by_cell = {_key(job.cell): job for job in started}
    wanted = [by_cell.get(_key(cell)) or _not_started(cell, failed) for cell in record.wanted]
    return [*wanted, *(job for job in started if job not in wanted)]


def _started(folder: Path, taken: dict[str, Costs]) -> SweptJob:
    status, facts = job_status(folder)
    return SweptJob(
        folder=folder,
        fold=int(facts.get("fold", 0)),
        values=facts.get("swept", {}),
        status=status,
        validation=facts.get("result"),
        error=facts.get("error") or (KILLED_ERROR if status == KILLED else None),
        costs=taken.get(folder.name),
    )


def _not_started(cell: Cell, failed: list[Failure]) -> SweptJob:
    """Return a job without a folder: it was refused before it wrote anything, or never launched."""
    errors = [failure.text for failure in failed if failure.is_of(cell)]
    return SweptJob(
        folder=None,
        fold=cell[FOLD],
        values={key: value for key, value in cell.items() if key != FOLD},
        status=FAILED if errors else MISSING,
        error=errors[0] if errors else None,
    )


def _key(cell: Cell) -> str:
    return json.dumps(cell, sort_keys=True)


def wait_for_jobs(sweeps: Sequence[Path]) -> None:
    """Send SIGTERM to jobs in child processes; wait until their manifests say how they ended."""
    for process in _running(sweeps):
        with suppress(psutil.NoSuchProcess):  # it has ended by itself
            process.terminate()
    deadline = time.monotonic() + LONGEST_END
    while _running(sweeps) and time.monotonic() < deadline:
        time.sleep(POLL)


def _running(sweeps: Sequence[Path]) -> list[psutil.Process]:
    """Return the child processes whose job is running according to its manifest."""
    paths = [path for sweep in sweeps for path in sweep.glob("*/" + MANIFEST)]
    running = [facts for facts in map(read_mapping, paths) if facts.get("status") == RUNNING]
    pids = {facts["pid"] for facts in running if process_lives(facts)}
    children = psutil.Process().children(recursive=True) if pids else []
    return [child for child in children if child.pid in pids]
