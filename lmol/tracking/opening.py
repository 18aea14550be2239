"""The opening of the tracker that a configuration names, and the check of its requirements."""

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
    """Yield the tracker of a run; finish it with the block, as failed after any exception.

    If the run folder does not write, the tracker drops everything, so that only one of several
    processes tracks. Raises LmolError if W&B refuses the run or cannot be reached.
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
    """Raise ConfigError if tracking lacks a package or a key; do not use the network."""
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
    """Return whether W&B is installed: a mere folder wandb/ of runs has no origin."""
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
