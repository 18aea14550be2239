"""Open the tracker that a configuration asks for, and check what it needs beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from lmol.config import Config
from lmol.config.schema import TrackingMode
from lmol.config.task_kinds import TRACKED
from lmol.errors import ConfigError, LmolError
from lmol.runs.run_folder import RunFolder
from lmol.tracking.tracker import Tracker

REPORT, WORKSPACES = "report", "wandb-workspaces"


@contextmanager
def open_tracker(config: Config, run: RunFolder) -> Iterator[Tracker]:
    """The tracker of a run, finished with it: failed where the block ends with any exception.

    A run folder that does not write has one that drops everything, so that of several processes one
    tracks. Raises LmolError where W&B refuses the run or is not reached.
    """
    tracker, failed = _tracker(config, run), True
    if tracker.identity:
        run.note(wandb=tracker.identity)
    tracker.note(_known(run))
    try:
        yield tracker
        failed = False
    finally:
        tracker.note(_known(run))
        tracker.finish(failed)


def _known(run: RunFolder) -> dict[str, Any]:
    """Return the manifest without status, error and end, which W&B records itself."""
    return {key: value for key, value in run.facts.items() if key not in ("status", "error", "end")}


def _tracker(config: Config, run: RunFolder) -> Tracker:
    if config.tracking.mode is TrackingMode.OFF or not run.writes:
        return Tracker()
    from lmol.tracking.wandb import WandbTracker

    folds = run.facts.get("folds") or [config.fold.index]
    return WandbTracker(config, run.path, folds)


def require_tracking(config: Config) -> None:
    """Raise ConfigError where tracking needs a package or a key that is not here; no network."""
    mode, task = config.tracking.mode, config.task.name
    reported = task == REPORT and mode is TrackingMode.ONLINE
    if mode is TrackingMode.OFF or not (task in TRACKED or reported):
        return
    if not installed() or (reported and find_spec("wandb_workspaces") is None):
        raise ConfigError([_no_package(mode, WORKSPACES if reported else "wandb")])
    from lmol.tracking.wandb_session import missing_key

    missing = missing_key() if mode is TrackingMode.ONLINE else None
    if missing is not None:
        raise ConfigError([_no_key(missing)])


def installed() -> bool:
    """Return whether W&B is installed; a folder wandb/ of runs has no origin."""
    found = find_spec("wandb")
    return found is not None and found.origin is not None


def _no_package(mode: TrackingMode, package: str) -> LmolError:
    reports = package == WORKSPACES
    return LmolError(
        "tracking.mode",
        got=f"{mode.value} without the package {package}",
        expected=f"{package}, which {'makes W&B reports' if reports else 'tracks'}",
        remedy=f"pip install {package}, or "
        + ("leave tracking=online out" if reports else "set tracking=off"),
    )


def _no_key(missing: str) -> LmolError:
    return LmolError(
        "tracking.mode",
        got=f"online, with {missing}",
        expected="an API key of W&B, which an upload needs",
        remedy="run `wandb login`, or set WANDB_API_KEY, or track without upload: tracking=offline",
    )
