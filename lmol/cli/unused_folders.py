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
        _remove_empty(sweep.glob("*/"))
        if {child.name for child in sweep.glob("*")} <= {*OF_A_SWEEP, RECORDS}:
            shutil.rmtree(sweep / RECORDS, ignore_errors=True)
            for name in OF_A_SWEEP:
                (sweep / name).unlink(missing_ok=True)
    _remove_empty(new_folders)


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # it holds something, or is gone already
            folder.rmdir()
