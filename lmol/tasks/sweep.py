"""The end of a multirun of task=train: all jobs read from their folders, compared and told.

Hydra imports this module for every command, so what is heavy is imported once there are results.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from lmol.config.ending import at_sweep_end, refuse
from lmol.config.launched import process_index
from lmol.config.sweeping import sweep_plan
from lmol.errors import LmolError
from lmol.tracking.processes import TRAIN
from lmol.tracking.result_folder import ResultFolder
from lmol.tracking.sweep_folder import SweepRecord, begin_sweep, forget_impossible
from lmol.tracking.sweep_jobs import sweep_jobs


class TrainingSweep(Callback):
    """Writes sweep.yaml before the jobs, and what they came to once they are through.

    Not in on_multirun_end, which Hydra leaves out where a job failed.
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
        at_sweep_end(lambda: end_sweep(plan.path, start))


def end_sweep(sweep: Path, start: float) -> None:
    """Write sweep.json, sweep.csv and the confusion matrix, and print the table.

    start: of this command's jobs, in seconds since the epoch.
    """
    record = SweepRecord.read(sweep)
    jobs = sweep_jobs(sweep, record) if record else []
    if record is None or not any(job.folder for job in jobs):
        return
    from lmol.tasks.sweep_results import save_sweep

    save_sweep(ResultFolder(sweep), record, jobs, start)
    forget_impossible(sweep)
