"""Where a run's numbers and pictures go beside its folder: nowhere, or to Weights & Biases."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lmol.config import Config
from lmol.config.schema import TrackingMode
from lmol.errors import ConfigError, LmolError
from lmol.tracking.run_folder import RunFolder

TRACKED = ("train", "audit", "evaluate")
"""Tasks whose results a tracker is told."""

REPORT, WORKSPACES = "report", "wandb-workspaces"


class Tracker:
    """Takes what a run tells, and drops it: tracking=off.

    Names may hold a slash, which groups them, as in audit/gradients. Steps are optimizer steps, in
    any order; one step may be told several times. identity: by which the run is found there.
    """

    identity: Mapping[str, str | None] = {}

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Numbers of a step, by name; they may be NaN or infinite."""

    def table(self, name: str, step: int, columns: Mapping[str, Collection[Any]]) -> None:
        """A table, by column, all of one length; a column of paths is shown as their pictures."""

    def image(self, name: str, step: int, path: Path, caption: str = "") -> None:
        """A picture from a file, which is copied."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """Results of the whole run, such as held-out metrics; may be nested."""

    def note(self, facts: Mapping[str, Any]) -> None:
        """Facts of the manifest, added to those noted before."""

    def artifact(self, folder: Path, name: str) -> None:
        """A folder such as a checkpoint, which stays as it is: no second copy is made of it."""

    def finish(self, failed: bool) -> None:
        """Nothing follows; what is not yet stored or uploaded is."""


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
    """The manifest but for how the run ended, which is not known yet; W&B tells it itself."""
    return {key: value for key, value in run.facts.items() if key not in ("status", "error", "end")}


def _tracker(config: Config, run: RunFolder) -> Tracker:
    if config.tracking.mode is TrackingMode.OFF or not run.writes:
        return Tracker()
    # It imports this module.
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
    """Whether W&B is; a folder wandb/ of runs, which Python imports as well, has no origin."""
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
