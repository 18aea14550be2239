"""Hydra callbacks that run before a job: its first line, early imports, quiet libraries."""

from __future__ import annotations

import logging
import sys
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from lmol import __version__
from lmol.config.schema import TrackingMode
from lmol.config.task_kinds import TRACKED, WITHOUT_MODEL
from lmol.system.distributed import process_index
from lmol.tracking.opening import installed


class FirstLine(Callback):
    """Callback that prints the first line of a job, before the slow imports of libraries."""

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        if process_index() == 0 and "torch" not in sys.modules:
            task = OmegaConf.select(config, "task.name")
            print(f"LMOL {__version__}, task={task}: loading libraries ...", flush=True)


class EarlyTracking(Callback):
    """Callback that imports W&B first: it searches all loaded modules, so later it takes longer."""

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        mode = OmegaConf.select(config, "tracking.mode")
        modes = {mode.value: mode for mode in (TrackingMode.OFFLINE, TrackingMode.ONLINE)}
        tracked = process_index() == 0 and OmegaConf.select(config, "task.name") in TRACKED
        if tracked and mode in modes and installed():
            from lmol.tracking.wandb_session import load

            load(modes[mode])


class QuietLibraries(Callback):
    """Callback that silences libraries whose output would break our progress bar and log lines.

    When imported, bitsandbytes reports that an optional CPU kernel package is absent; it computes
    the same without. The bars and the advice of transformers are silenced if the task builds a
    model. Importing lmol changes no logging.
    """

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
        if OmegaConf.select(config, "task.name") not in WITHOUT_MODEL:
            from transformers.utils.logging import disable_progress_bar, set_verbosity_error

            disable_progress_bar()
            set_verbosity_error()
