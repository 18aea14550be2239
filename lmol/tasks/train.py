"""task=train, the main job: prepare pairs, train, judge the held-out fold, rank it, save it all."""

from __future__ import annotations

import logging
from pathlib import Path

from lmol.config import Config
from lmol.model.checkpoint import kept
from lmol.model.device import require_device
from lmol.runs.run_folder import RunFolder
from lmol.system.signals import Stopped
from lmol.tracking.opening import open_tracker
from lmol.workflow.training import train_and_evaluate

log = logging.getLogger(__name__)


def run(config: Config, run: RunFolder) -> float:
    """Train, and return the best validation metric, which is never of the held-out fold."""
    require_device(config)
    try:
        with open_tracker(config, run) as tracker:
            trained = train_and_evaluate(config, run, tracker)
    except Stopped as ended:
        ended.kept = kept(run.path / "checkpoints")
        raise
    if "swept" not in run.facts:  # after a job of a sweep, the next job starts
        log.info("%s", next_steps(run.path))
    return trained.best


def next_steps(run: Path) -> str:
    """Return the commands that are useful after a training."""
    return (
        "Next, to rank photos of yours, or to see the run as a page:\n"
        f"  python -m lmol.run task=rank run={run} images=FOLDER\n"
        f"  python -m lmol.run task=report runs={run}"
    )
