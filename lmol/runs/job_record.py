"""What a job of a multirun leaves for the command that started it, whatever process it ran in.

Below .jobs/ of the sweep's folder: <job>.json of a job that ran, <job>.error.json of one that
failed. A launcher hands an exception back as it likes; these files come back from any process.
"""

from __future__ import annotations

import gc
import json
import os
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
from lmol.system.disk import disk_error
from lmol.system.distributed import num_processes
from lmol.system.job_process import MANIFEST, job_process

FAULT, MISTAKE = 1, 2
RECORDS = ".jobs"

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A job that did not end well.

    values: its overrides by key; text: as it is told; code: of the command's end; impossible:
    its values are none that any job could have.
    """

    job: str
    folder: str
    values: dict[str, Any]
    text: str
    code: int
    impossible: bool

    def is_of(self, cell: Cell) -> bool:
        """Whether the job is that of a cell."""
        return all(self.values.get(key, value) == value for key, value in cell.items())


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a job took. Start and end in seconds since the epoch, memory resident, in bytes."""

    job: str
    start: float
    end: float
    rss_before: int
    rss_after: int


class JobFailed(Exception):
    """Stands for what a job raised, which has been recorded, and holds nothing of it."""


def recorded(job: Callable[[DictConfig], Result], values: DictConfig) -> Result:
    """Run a job of a multirun, give its memory back, and record what it took or why it failed.

    Raises JobFailed where it failed; the failure's own frames, with model and data, are let go. Of
    several processes, a failure ends the command.
    """
    hydra = HydraConfig.get()
    sweep, name = Path(hydra.sweep.dir).absolute(), str(hydra.sweep.subdir)
    manifest = _stamp(sweep / name / MANIFEST)
    start, before = time.time(), resident()
    failure: Failure | None = None
    try:
        with job_process(name):
            result = job(values)
    except Exception as error:  # of any kind: the other jobs go on, and the command tells it
        shown = disk_error(error, sweep) or error
        failure = _failure(name, sweep / name, shown, debug=values.get("debug") is True)
        _let_go(error)
        print(f"{name}: failed; why is told at the end", flush=True)
    gc.collect()
    if _stamp(sweep / name / MANIFEST) != manifest:  # a finished job was left as it was
        costs = Costs(
            job=name, start=start, end=time.time(), rss_before=before, rss_after=resident()
        )
        _write(sweep, f"{name}.json", asdict(costs))
    if failure is not None:
        _write(sweep, f"{name}.error.json", asdict(failure))
        if num_processes() > 1:  # the others may still be at this job
            raise SystemExit(failure.code)
        raise JobFailed(failure.text)
    return result


def _failure(job: str, folder: Path, error: Exception, *, debug: bool) -> Failure:
    """The message alone for a mistake of the user's, the traceback for all else and in debug."""
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
    """Of the command that runs, or ran last, in the order of the jobs' names."""
    return [Failure(**_read(path)) for path in _records(sweep) if path.stem.endswith(".error")]


def costs(sweep: Path) -> dict[str, Costs]:
    """By job, of those that ran to an end of any kind."""
    read = [_read(path) for path in _records(sweep) if not path.stem.endswith(".error")]
    return {facts["job"]: Costs(**facts) for facts in read}


def forget_failures(sweep: Path) -> None:
    """A new command begins: what failed before is tried again."""
    for path in (sweep / RECORDS).rglob("*.error.json"):
        path.unlink(missing_ok=True)


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(psutil.Process().memory_info().rss)


def _let_go(error: BaseException) -> None:
    """Free what the frames of a failed job hold, such as its model."""
    for linked in (error, error.__cause__, error.__context__):
        if linked is not None:
            traceback.clear_frames(linked.__traceback__)


def _stamp(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


def _records(sweep: Path) -> list[Path]:
    return sorted((sweep / RECORDS).rglob("*.json"))


def _read(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return facts


def _write(sweep: Path, name: str, facts: dict[str, Any]) -> None:
    """Whole or not at all, as the command may read while jobs write."""
    path = sweep / RECORDS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    temporary.write_text(json.dumps(facts), encoding="utf-8")
    temporary.replace(path)
