"""The start of a job's run: claim its folder, or skip a finished job of a sweep.

If torchrun starts several processes, one writes and all compute.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich import get_console

from lmol.config import Config
from lmol.config.saved import with_resumed, with_saved
from lmol.config.sweeping import JobPlace, task_overrides
from lmol.config.task_kinds import SHARED, TRAIN, TRAINING
from lmol.errors import ConfigError, LmolError, RunFolderError
from lmol.runs.past_runs import saved_runs
from lmol.runs.run_folder import RunFolder, SilentFolder
from lmol.runs.state_folder import newest_state
from lmol.runs.sweep_folder import SweepRecord
from lmol.runs.swept_job import Left, open_job
from lmol.runs.unfinished import AUTO, continue_run, run_to_resume, unfinished_runs
from lmol.system.distributed import num_processes, of_first, process_index
from lmol.tracking.opening import require_tracking


def with_past(values: DictConfig) -> DictConfig:
    """Return the values of the job, with those of the finished or unfinished run that it uses."""
    name, overrides = OmegaConf.select(values, "resume"), task_overrides()
    if name in (None, AUTO):
        return with_saved(values, overrides, saved_runs)
    past, _ = run_to_resume(name)
    cwd = Path(past.manifest.get("cwd", "."))
    return with_resumed(values, overrides, (Path(name), past.config(), cwd))


def open_run(place: JobPlace, config: Config) -> RunFolder:
    """Return the run folder, claimed by the process that writes; other processes drop results.

    Returns a LeftAlone for a job of a sweep of trainings that must not begin. All processes return
    the same, or raise the same.
    """
    opened = _open(place, config) if num_processes() == 1 else _open_together(place, config)
    return LeftAlone(place.path, opened) if isinstance(opened, Left) else opened


def _open(place: JobPlace, config: Config) -> RunFolder | Left:
    require_tracking(config)
    if config.resume is not None:
        return _continued(place, config.resume, config)
    record = SweepRecord.read(place.sweep) if place.sweep else None
    if record is None or place.sweep is None or config.task.name != TRAIN:
        return RunFolder.claim(place, config)
    return open_job(place, place.sweep, record, config)


def _continued(place: JobPlace, name: str, config: Config) -> RunFolder:
    """Return the folder of the run to continue, or, with auto and without such a run, a new one."""
    if place.sweep is not None:
        problem = LmolError(
            "resume",
            got=f"{name}, for a multirun",
            expected="no value: a multirun continues its own jobs",
            remedy="repeat its command with the hydra.sweep.dir=... of its folder",
        )
        raise ConfigError([problem])
    if name != AUTO:
        return continue_run(*run_to_resume(name), config)
    for past in unfinished_runs(config):
        with suppress(RunFolderError):  # such as by another process that began to continue it
            return continue_run(past, newest_state(past.path), config)
    return RunFolder.claim(place, config)


def _open_together(place: JobPlace, config: Config) -> RunFolder | Left:
    _refuse_unshared(config)
    mine: RunFolder | Left | Exception | None = None
    if process_index() == 0:
        try:
            mine = _open(place, config)
        except Exception as error:  # of any kind: the others wait for it
            mine = error if isinstance(error, LmolError) else RuntimeError(repr(error))
    opened = of_first((mine.path, mine.state) if isinstance(mine, RunFolder) else mine)
    if isinstance(opened, Exception):
        raise opened
    if isinstance(opened, Left):
        return opened
    assert opened is not None, "the first process opened something"
    return mine if isinstance(mine, RunFolder) else SilentFolder(*opened)


def _refuse_unshared(config: Config) -> None:
    """Raise ConfigError if the task cannot use this number of processes, or their strategy."""
    task, train = config.task.name, config.train
    strategies = [name for name in ("FSDP", "DEEPSPEED") if _is_on(f"ACCELERATE_USE_{name}")]
    num_pairs = config.data.schedule.get("num_pairs")
    step = train.batch_pairs * train.accumulation * num_processes()
    if task not in SHARED:
        got, expected = f"task={task}", f"one process; {', '.join(SHARED)} share their work"
    elif strategies:
        got, expected = strategies[0], "plain data parallelism: the base fits each device"
    elif task in TRAINING and isinstance(num_pairs, int) and num_pairs < step:
        got, expected = f"{num_pairs} pairs", f"at least one step of {step} pairs"
    else:
        return
    problem = LmolError(
        "torchrun",
        got=f"{num_processes()} processes for {got}",
        expected=expected,
        remedy="start it without torchrun, with fewer processes, or without that strategy",
    )
    raise ConfigError([problem])


def _is_on(name: str) -> bool:
    return os.environ.get(name, "false").lower() in ("1", "true", "yes")


class LeftAlone(SilentFolder):
    """Placeholder for the folder of a job that is done already, or must not begin."""

    def __init__(self, path: Path, left: Left) -> None:
        super().__init__(path)
        self._result = left.result
        if left.reason and process_index() == 0:
            get_console().print(f"{path.name}: {left.reason}", markup=False, highlight=False)

    def result_of(self, task: Callable[[], float | None]) -> float | None:
        """Return the earlier result of the job without running the task."""
        return self._result
