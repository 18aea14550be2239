"""Start of a job before its slow imports: first line, W&B, quiet libraries."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from omegaconf import DictConfig, OmegaConf

from lmol import __version__
from lmol.config import Config, check
from lmol.config.schema import TrackingMode
from lmol.config.task_kinds import TRACKED, WITHOUT_MODEL
from lmol.system.distributed import process_index
from lmol.tracking.opening import installed


def checked(values: DictConfig) -> Config:
    """Check the values of a job: first without slow imports, then, after its first line, all."""
    check(values, quick=True)
    with _no_garbage_search():
        _before_imports(values)
        return check(values)


@contextmanager
def _no_garbage_search() -> Iterator[None]:
    """Spare imports the search for garbage among a million objects, a seventh of their time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _before_imports(values: DictConfig) -> None:
    """Print the first line of a job, import W&B, and silence other libraries. values: checked."""
    task = OmegaConf.select(values, "task.name")
    if process_index() == 0 and "torch" not in sys.modules:
        print(f"LMOL {__version__}, task={task}: loading libraries ...", flush=True)
    if process_index() == 0 and task in TRACKED:
        _import_tracking(OmegaConf.select(values, "tracking.mode"))
    _silence(builds_model=task not in WITHOUT_MODEL)


def _import_tracking(mode: str) -> None:
    """Import W&B before other libraries: it searches all loaded modules, so later it is slower."""
    modes = {mode.value: mode for mode in (TrackingMode.OFFLINE, TrackingMode.ONLINE)}
    if mode in modes and installed():
        from lmol.tracking.wandb_session import load

        load(modes[mode])


def _silence(*, builds_model: bool) -> None:
    """Silence libraries whose output would break our progress bar and log lines.

    When imported, bitsandbytes reports that an optional CPU kernel package is absent; it computes
    the same without. Importing lmol changes no logging.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if builds_model:
        from transformers.utils.logging import disable_progress_bar, set_verbosity_error

        disable_progress_bar()
        set_verbosity_error()
