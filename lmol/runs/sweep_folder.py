"""A sweep's folder: the common values of its jobs, and the state of each job.

sweep.yaml holds the values that all jobs have in common, the keys that differ, and the jobs wanted.
A job that was killed or failed is moved to unfinished/ before it starts again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from rich import get_console

from lmol.config import Config, signature
from lmol.config.signature import digest, with_effect
from lmol.config.sweeping import Cell, JobPlace, SweepPlan, job_base, job_cell
from lmol.errors import LmolError, RunFolderError
from lmol.runs.environment import process_lives
from lmol.runs.job_record import failures
from lmol.runs.run_folder import DONE, MANIFEST, RUNNING, RunFolder
from lmol.system.distributed import num_processes
from lmol.system.files import read_mapping, write_text

SWEEP = "sweep.yaml"
LOCK = ".lock"
LOCK_PATIENCE = 600
"""Seconds to wait for the lock."""
UNFINISHED = "unfinished"
KILLED, MISSING = "killed", "missing"
SHOWN_DIFFERENCES = 5


@dataclass(frozen=True, kw_only=True)
class SweepRecord:
    """The content of sweep.yaml; keys and wanted as in SweepPlan."""

    name: str
    keys: list[str]
    wanted: list[Cell]
    signature: str
    config: dict[str, Any]

    @classmethod
    def read(cls, sweep: Path) -> SweepRecord | None:
        """Read the record; return None if the folder has no sweep of trainings."""
        try:
            return cls(**yaml.safe_load((sweep / SWEEP).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def write(self, sweep: Path) -> None:
        """Write the record in the form that `read` reads."""
        write_text(sweep / SWEEP, yaml.safe_dump(asdict(self), sort_keys=False))

    def refuse_other(self, sweep: Path, base: dict[str, Any]) -> None:
        """Raise RunFolderError if a job differs from the others in more than the swept keys."""
        if digest(base) != self.signature:
            raise _other(sweep, ", ".join(_differences(self.config, base)))


def begin_sweep(plan: SweepPlan) -> None:
    """Write sweep.yaml, or add the wanted jobs to the one that is there.

    Raises RunFolderError if the folder is of a sweep over other keys, or with other values.
    """
    with locked(plan.path):
        known = SweepRecord.read(plan.path)
        if known is not None and known.keys != plan.keys:
            text = ", ".join(known.keys) or "folds only"
            raise _other(plan.path, f"a sweep over {text}")
        if known is not None:
            known.refuse_other(plan.path, plan.base)
        before = known.wanted if known else []
        record = SweepRecord(
            name=plan.name,
            signature=digest(plan.base),
            keys=plan.keys,
            wanted=[*before, *(cell for cell in plan.wanted if cell not in before)],
            config=plan.base,
        )
        record.write(plan.path)


def forget_impossible(sweep: Path) -> None:
    """Remove wanted jobs that no configuration can have, such as fold 9 of 5."""
    with locked(sweep):
        record = SweepRecord.read(sweep)
        impossible = [failure for failure in failures(sweep) if failure.impossible]
        if record is not None and impossible:
            possible = [c for c in record.wanted if not any(f.is_of(c) for f in impossible)]
            replace(record, wanted=possible).write(sweep)


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
            _move_aside(place.path, sweep)
        return RunFolder.claim(place, config, swept=job_cell(record.keys))


@dataclass(frozen=True, kw_only=True)
class Left:
    """A job that is not started. result: the metric that it returned earlier, if it is done."""

    reason: str
    result: float | None


def job_status(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the status of a job, and its manifest; a half-written folder is a killed job's."""
    facts = read_mapping(folder / MANIFEST)
    if not facts:
        return (KILLED if folder.is_dir() and any(folder.iterdir()) else MISSING), {}
    status = str(facts["status"])
    dead = status == RUNNING and process_lives(facts) is False
    return (KILLED if dead else status), facts


@contextmanager
def locked(sweep: Path) -> Iterator[None]:
    """Lock the sweep, so that one process at a time checks its jobs and starts one.

    Raises RunFolderError if another process holds the lock for minutes.
    """
    from filelock import FileLock, Timeout

    logging.getLogger("filelock").setLevel(logging.WARNING)
    lock = FileLock(sweep / LOCK, timeout=LOCK_PATIENCE)
    try:
        held = lock.acquire()
    except Timeout:
        raise RunFolderError(
            sweep / LOCK,
            got=f"a lock that another process has held for {LOCK_PATIENCE} s",
            expected="a lock that is held only for a moment",
            remedy="end the process that holds it; on a file system without locks, remove it",
        ) from None
    with held:
        yield


def _left(folder: Path, sweep: Path, config: Config) -> Left | None:
    status, facts = job_status(folder)
    if status == DONE and facts.get("signature") != signature(config):
        raise _other(folder, "a finished job of other settings")
    if status == DONE and facts.get("num_processes", 1) != num_processes():
        raise _other(folder, f"a finished job of {facts.get('num_processes', 1)} process(es), each "
                     "of which takes its own batch")  # fmt: skip
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


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return the keys that differ, each with both values; if they are many, the first few."""
    mine, others = (dict(flat(with_effect(values))) for values in (one, other))
    found = [
        f"{key} {other_value} where the sweep has {value}"
        for key in {**mine, **others}
        if (value := mine.get(key, "nothing")) != (other_value := others.get(key, "nothing"))
    ]
    return [*found[:SHOWN_DIFFERENCES], *(["..."] if len(found) > SHOWN_DIFFERENCES else [])]


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and their values; a list, or an empty mapping, is a value."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _other(path: Path, got: str) -> LmolError:
    return RunFolderError(
        path,
        got=got,
        expected="jobs that differ only in the fold and the swept keys",
        remedy="repeat the command that started the sweep, or choose another hydra.sweep.dir=...",
    )
