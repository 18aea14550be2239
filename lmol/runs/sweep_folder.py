"""A sweep's folder: the common values of its jobs, and the state of each job.

sweep.yaml holds the values that all jobs have in common, the keys that differ, and the jobs wanted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from lmol.config.signature import differences, digest
from lmol.config.sweeping import Cell, SweepPlan
from lmol.errors import LmolError, RunFolderError
from lmol.runs.job_record import failures
from lmol.runs.run_folder import MANIFEST
from lmol.runs.run_lock import RUNNING, still_runs
from lmol.system.files import UNREADABLE, own_file, read_mapping, require_mapping, write_text

SWEEP = "sweep.yaml"
LOCK = ".lock"
LOCK_PATIENCE = 600
"""Seconds to wait for the lock."""
KILLED, MISSING = "killed", "missing"


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
        """Read the record; return None if the folder has no sweep of trainings.

        Raises RunFolderError if it cannot be read.
        """
        try:
            text = own_file(sweep, SWEEP).read_text(encoding="utf-8")
            return cls(**require_mapping(yaml.safe_load(text)))
        except FileNotFoundError:
            return None
        except UNREADABLE as error:
            raise RunFolderError(
                sweep / SWEEP,
                got=f"a file that cannot be read ({error})",
                expected="the record that the sweep's command wrote",
                remedy="restore it, or choose another hydra.sweep.dir=...",
            ) from error

    def write(self, sweep: Path) -> None:
        """Write the record in the form that `read` reads."""
        write_text(sweep / SWEEP, yaml.safe_dump(asdict(self), sort_keys=False))

    def refuse_other(self, sweep: Path, base: dict[str, Any]) -> None:
        """Raise RunFolderError if a job differs from the others in more than the swept keys."""
        if digest(base) != self.signature:
            raise other_sweep(sweep, ", ".join(differences(self.config, base, "the sweep")))


def begin_sweep(plan: SweepPlan) -> None:
    """Write sweep.yaml, or add the wanted jobs to the one that is there.

    Raises RunFolderError if the folder is of a sweep over other keys, or with other values.
    """
    with locked(plan.path):
        known = SweepRecord.read(plan.path)
        if known is not None and known.keys != plan.keys:
            text = ", ".join(known.keys) or "folds only"
            raise other_sweep(plan.path, f"a sweep over {text}")
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


def job_status(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the status of a job, and its manifest; a half-written folder is a killed job's."""
    facts = read_mapping(folder / MANIFEST)
    if not facts:
        return (KILLED if folder.is_dir() and any(folder.iterdir()) else MISSING), {}
    status = str(facts["status"])
    dead = status == RUNNING and not still_runs(folder, facts)
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


def other_sweep(path: Path, got: str) -> LmolError:
    return RunFolderError(
        path,
        got=got,
        expected="jobs that differ only in the fold and the swept keys",
        remedy="repeat the command that started the sweep, or choose another hydra.sweep.dir=...",
    )
