"""Removal of the folders that a command made and no run claimed; nothing else is touched."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lmol.runs.job_record import RECORDS

OF_A_SWEEP = ("multirun.yaml", "sweep.yaml", ".lock")
"""Files of a sweep's folder that are removed with it if no job has left anything."""


def remove_unused(sweeps: Iterable[Path], new_folders: Iterable[Path]) -> None:
    """Remove empty folders of a command's sweeps, and empty folders that the command made.

    Another command may run at the same time: folders that this command did not make are not
    searched, except the job folders of its own sweeps.
    """
    for sweep in sweeps:
        _remove_unused_sweep(sweep)
    for folder in new_folders:
        _remove_empty(folder)


def _remove_unused_sweep(sweep: Path) -> None:
    for job in sweep.glob("*/"):
        _remove_empty(job)
    if {child.name for child in _children(sweep)} <= {*OF_A_SWEEP, RECORDS}:
        shutil.rmtree(sweep / RECORDS, ignore_errors=True)
        for name in OF_A_SWEEP:
            (sweep / name).unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    if not any(_children(folder)):
        with suppress(OSError):  # gone already, or another command has put something there
            folder.rmdir()


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
