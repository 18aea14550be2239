"""task=train, the main job: prepare pairs, train, judge the held-out fold, rank it, save it all."""

from __future__ import annotations

import logging
from pathlib import Path

from lmol.config import Config
from lmol.model.device import require_device
from lmol.runs.run_folder import RunFolder
from lmol.runs.state_folder import newest_state, step_of
from lmol.system.files import quoted
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
        ended.kept = how_to_continue(config, run)
        raise
    if "swept" not in run.facts:  # after a job of a sweep, the next job starts
        log.info("%s", next_steps(run.path))
    return trained.best


def how_to_continue(config: Config, run: RunFolder) -> str:
    """Return what was saved of an interrupted run, and the command that continues it, in words."""
    state = newest_state(run.path)
    saved = f"saved: the state after step {step_of(state)}" if state else "no state was saved yet"
    if "swept" in run.facts and config.resume is None:  # the sweep's command continues it
        return saved
    more = " data.outside=true" if config.data.outside else ""  # never taken from a stored run
    return f"{saved}. It goes on with\n  python -m lmol.run resume={quoted(run.path)}{more}"


def next_steps(run: Path) -> str:
    """Return the commands that are useful after a training."""
    return (
        "Next, to rank photos of yours, or to see the run as a page:\n"
        f"  python -m lmol.run task=rank run={run} images=FOLDER\n"
        f"  python -m lmol.run task=report runs={run}"
    )
