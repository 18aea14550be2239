"""The end of a multirun of task=train: read all jobs from their folders, compare and print them.

Hydra imports this module for every command, so heavy imports wait until there are results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from lmol.cli.exit_codes import UNFINISHED_SWEEP, at_sweep_end, refuse
from lmol.config.sweeping import Cell, sweep_plan
from lmol.config.task_kinds import TRAIN
from lmol.errors import LmolError
from lmol.runs.result_folder import ResultFolder
from lmol.runs.run_folder import DONE, FAILED
from lmol.runs.sweep_folder import SweepRecord, begin_sweep, forget_impossible
from lmol.runs.sweep_jobs import SweptJob, sweep_jobs
from lmol.system.distributed import process_index


class TrainingSweep(Callback):
    """Callback that writes sweep.yaml before the jobs, and their results after them.

    It does not use on_multirun_end, which Hydra does not call if a job failed.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        try:
            plan = sweep_plan(config)
            if plan.task != TRAIN or process_index() != 0:
                return
            begin_sweep(plan)
        except LmolError as error:
            refuse(error)
        start = time.time()
        at_sweep_end(lambda: end_sweep(plan.path, start, plan.wanted))


def end_sweep(sweep: Path, start: float, asked: Sequence[Cell]) -> int:
    """Write sweep.json, sweep.csv and the confusion matrix, print the table, return the exit code.

    start: when this command's jobs began, in seconds since the epoch; asked: the jobs of this
    command, or, if empty, all jobs of the sweep. The exit code is not 0 if one of them is neither
    done nor failed.
    """
    record = SweepRecord.read(sweep)
    jobs = sweep_jobs(sweep, record) if record else []
    if record is None or not any(job.folder for job in jobs):
        return 0
    from lmol.workflow.sweep_results import save_sweep

    save_sweep(ResultFolder(sweep), record, jobs, start)
    forget_impossible(sweep)
    own = [job for job in jobs if not asked or job.cell in asked]
    missing = [job for job in own if job.status != DONE and not job.status.startswith(FAILED)]
    if missing:
        print(_unfinished(sweep, missing, len(own)), file=sys.stderr)
    return UNFINISHED_SWEEP if missing else 0


def _unfinished(sweep: Path, missing: Sequence[SweptJob], num_jobs: int) -> str:
    named = [(job.folder.name if job.folder else f"fold_{job.fold}", job) for job in missing]
    shown = ", ".join(f"{name} ({job.status})" for name, job in named)
    return (
        f"{sweep}: {len(missing)} of {num_jobs} jobs are not done: {shown}.\n"
        "  -> the same command continues them once no other process runs them; if one was killed "
        "on another host, move the folders of its jobs away first"
    )
