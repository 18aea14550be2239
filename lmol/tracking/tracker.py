"""The interface of trackers; this class drops everything, the subclass in wandb.py records it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any


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
