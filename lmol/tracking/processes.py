"""Several processes on one run, as torchrun starts them: one writes, all compute."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich import get_console

from lmol.config import Config
from lmol.config.sweeping import JobPlace
from lmol.tracking.run_folder import DONE, RunFolder
from lmol.tracking.sweep_folder import Left, SweepRecord, job_status, open_job

TRAIN = "train"


def process_index() -> int:
    """This process's number, 0 for the one that writes and for a process that is alone."""
    return int(os.environ.get("RANK", "0"))


def open_run(place: JobPlace, config: Config) -> RunFolder:
    """The run folder, claimed by the process that writes; what the others write goes nowhere.

    A job of a sweep of trainings that is not to be begun gives a LeftAlone.
    """
    record = SweepRecord.read(place.sweep) if place.sweep else None
    if record is None or place.sweep is None or config.task.name != TRAIN:
        return (
            RunFolder.claim(place.path, config)
            if process_index() == 0
            else SilentFolder(place.path)
        )
    if process_index() != 0:
        return _beside(place.path)
    opened = open_job(place, place.sweep, record, config)
    return LeftAlone(place.path, opened) if isinstance(opened, Left) else opened


def _beside(path: Path) -> RunFolder:
    """For a process that does not write: a job that is done is left alone by all."""
    status, facts = job_status(path)
    if status == DONE:
        return LeftAlone(path, Left(reason="", result=facts.get("result")))
    return SilentFolder(path)


class SilentFolder(RunFolder):
    """Takes results as a run folder does, and drops them."""

    writes = False

    def __init__(self, path: Path) -> None:
        super().__init__(path, {}, debug=False)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *ended: Any) -> None:
        pass

    def part(self, name: str) -> SilentFolder:
        return SilentFolder(self.path / name)

    @property
    def facts(self) -> dict[str, Any]:
        return {}

    def note(self, **facts: Any) -> None:
        pass

    def write_text(self, name: str, text: str) -> Path:
        return self.path / name

    def append(self, name: str, text: str) -> Path:
        return self.path / name

    def write_table(self, name: str, table: Any) -> Path:
        return self.path / name


class LeftAlone(SilentFolder):
    """Stands for the folder of a job that is done already, or is not to be begun."""

    def __init__(self, path: Path, left: Left) -> None:
        super().__init__(path)
        self._result = left.result
        if left.reason:
            get_console().print(f"{path.name}: {left.reason}", markup=False, highlight=False)

    def result_of(self, task: Callable[[], float | None]) -> float | None:
        """As it was returned when the job was done; the task is not run."""
        return self._result
