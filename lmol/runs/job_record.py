"""Files that a job of a multirun leaves for its command, from any process.

In .jobs/ of the sweep's folder: <job>.json for a job that ran, <job>.error.json for one that
failed. Launchers differ in how they hand exceptions back; these files work with all of them.
"""

from __future__ import annotations

import gc
import json
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from lmol.config.sweeping import Cell, job_values
from lmol.errors import ConfigError, LmolError
from lmol.runs.result_folder import ResultFolder
from lmol.runs.run_folder import MANIFEST
from lmol.system.disk import disk_error
from lmol.system.distributed import num_processes
from lmol.system.job_process import job_process

FAULT, MISTAKE = 1, 2
RECORDS = ".jobs"

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A failed job.

    values: its overrides by key; text: its message; code: exit code of the command; impossible:
    no job could have its values.
    """

    job: str
    folder: str
    values: dict[str, Any]
    text: str
    code: int
    impossible: bool

    def is_of(self, cell: Cell) -> bool:
        """Return whether the job belongs to a cell."""
        return all(self.values.get(key, value) == value for key, value in cell.items())


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Costs of a job. Start and end in seconds since the epoch, resident memory in bytes."""

    job: str
    start: float
    end: float
    rss_before: int
    rss_after: int


class JobFailed(Exception):
    """Placeholder for the recorded exception of a job; it holds no reference to it."""


def recorded(job: Callable[[DictConfig], Result], values: DictConfig) -> Result:
    """Run a job of a multirun, free its memory, and record its costs or its failure.

    Raises JobFailed if it failed; the frames of the failure, with model and data, are freed. With
    several processes, a failure ends the command.
    """
    hydra = HydraConfig.get()
    sweep, name = Path(hydra.sweep.dir).absolute(), str(hydra.sweep.subdir)
    records, manifest = ResultFolder(sweep / RECORDS), _stamp(sweep / name / MANIFEST)
    start, before = time.time(), resident()
    failure: Failure | None = None
    try:
        with job_process(name):
            result = job(values)
    except Exception as error:  # of any kind: the other jobs go on, the command reports it
        shown = disk_error(error, sweep) or error
        failure = _failure(name, sweep / name, shown, debug=values.get("debug") is True)
        _let_go(error)
        print(f"{name}: failed; the reason follows at the end", flush=True)
    gc.collect()
    if _stamp(sweep / name / MANIFEST) != manifest:  # not so for a job that was finished before
        costs = Costs(
            job=name, start=start, end=time.time(), rss_before=before, rss_after=resident()
        )
        records.write_text(f"{name}.json", json.dumps(asdict(costs)))
    if failure is not None:
        records.write_text(f"{name}.error.json", json.dumps(asdict(failure)))
        if num_processes() > 1:  # the others may still be at this job
            raise SystemExit(failure.code)
        raise JobFailed(failure.text)
    return result


def _failure(job: str, folder: Path, error: Exception, *, debug: bool) -> Failure:
    """Return a failure with the message for a user's mistake, else (or in debug) the traceback."""
    mistake = isinstance(error, LmolError)
    whole = debug or not mistake
    text = "".join(traceback.format_exception(error)).rstrip() if whole else str(error)
    return Failure(
        job=job,
        folder=str(folder),
        values=job_values(),
        text=text,
        code=MISTAKE if mistake else FAULT,
        impossible=isinstance(error, ConfigError) and not (folder / MANIFEST).exists(),
    )


def failures(sweep: Path) -> list[Failure]:
    """Return the failures of the running or last command, in the order of the jobs' names."""
    return [Failure(**facts) for facts in _records(sweep, failed=True)]


def costs(sweep: Path) -> dict[str, Costs]:
    """Return the costs, by job, of all jobs that ended in any way."""
    return {facts["job"]: Costs(**facts) for facts in _records(sweep, failed=False)}


def forget_failures(sweep: Path) -> None:
    """Remove the records of failures: a new command tries these jobs again."""
    for path in (sweep / RECORDS).rglob("*.error.json"):
        path.unlink(missing_ok=True)


def resident() -> int:
    """Return the resident memory of this process, in bytes."""
    return int(psutil.Process().memory_info().rss)


def _let_go(error: BaseException) -> None:
    """Free the objects in the frames of a failed job, such as its model."""
    for linked in (error, error.__cause__, error.__context__):
        if linked is not None:
            traceback.clear_frames(linked.__traceback__)


def _stamp(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


def _records(sweep: Path, *, failed: bool) -> list[dict[str, Any]]:
    paths = sorted((sweep / RECORDS).rglob("*.json"))
    wanted = [path for path in paths if path.stem.endswith(".error") is failed]
    return [json.loads(path.read_text(encoding="utf-8")) for path in wanted]
