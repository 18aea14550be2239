"""The start of a sweep's job: claim its folder, continue it, or skip it.

A job that was killed or failed goes on from its newest state; without one, it is moved to
unfinished/ and starts again.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path

from rich import get_console

from lmol.config import Config, signature
from lmol.config.sweeping import JobPlace, job_base, job_cell
from lmol.runs.job_record import failures
from lmol.runs.past_runs import PastRun
from lmol.runs.run_folder import DONE, RunFolder
from lmol.runs.run_lock import RUNNING
from lmol.runs.state_folder import newest_state
from lmol.runs.sweep_folder import SweepRecord, job_status, locked, other_sweep
from lmol.runs.unfinished import continue_run
from lmol.system.distributed import num_processes

UNFINISHED = "unfinished"


def open_job(place: JobPlace, sweep: Path, record: SweepRecord, config: Config) -> RunFolder | Left:
    """Claim and return the folder of a job to run, or return the reason not to run it.

    Raises RunFolderError if the job is of another experiment than the sweep.
    """
    record.refuse_other(sweep, job_base(place.values, record.keys))
    with locked(sweep):
        left = _left(place.path, sweep, config)
        if left is not None:
            return left
        if place.is_used():
            again = _continued(place.path, config)
            if again is not None:
                return again
            _move_aside(place.path, sweep)
        return RunFolder.claim(place, config, swept=job_cell(record.keys))


def _continued(folder: Path, config: Config) -> RunFolder | None:
    """Claim an unfinished job that has a state, and return its folder; None if it begins anew.

    Raises RunFolderError, with the difference, if its state would lead to other bits.
    """
    state, status = newest_state(folder), job_status(folder)[1].get("status")
    if state is None or status not in RunFolder.RESUMABLE:
        return None
    return continue_run(PastRun.read(folder), state, config)


@dataclass(frozen=True, kw_only=True)
class Left:
    """A job that is not started. result: the metric that it returned earlier, if it is done."""

    reason: str
    result: float | None


def _left(folder: Path, sweep: Path, config: Config) -> Left | None:
    status, facts = job_status(folder)
    if status == DONE and facts.get("signature") != signature(config):
        raise other_sweep(folder, "a finished job of other settings")
    processes = facts.get("num_processes", 1)
    if status == DONE and processes != num_processes():
        got = f"a finished job of {processes} process(es), each of which takes its own batch"
        raise other_sweep(folder, got)
    if status == DONE:
        return Left(reason="finished earlier, and not run again", result=facts.get("result"))
    if status == RUNNING:
        process = f"process {facts.get('pid')} on {facts.get('host')}"
        reason = f"{process} runs it; if that process was killed, move the job's folder away"
        return Left(reason=reason, result=None)
    failed = failures(sweep) if config.fail_fast else []
    if failed:
        return Left(reason=f"not started: {failed[0].job} failed (fail_fast=true)", result=None)
    return None


def _move_aside(folder: Path, sweep: Path) -> None:
    """Move the folder of an unfinished job to another name, with all files in it."""
    places = (sweep / UNFINISHED / f"{folder.name}_{number}" for number in count(1))
    place = next(place for place in places if not place.exists())
    place.parent.mkdir(exist_ok=True)
    folder.rename(place)
    get_console().print(f"{folder.name}: unfinished, moved to {place}", markup=False)
