"""The interface of trackers; this class drops everything, the subclass in wandb.py records it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any


class Tracker:
    """Tracker that drops all records of a run: tracking=off.

    Names may hold a slash, which groups them, as in audit/gradients. Steps are optimizer steps, in
    any order; one step may be logged several times. identity: identifies the run at the service.
    continues: true if the service has the records of earlier processes of the run.
    """

    identity: Mapping[str, str | None] = {}
    continues = False

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Log numbers of a step, by name; they may be NaN or infinite."""

    def table(self, name: str, step: int, columns: Mapping[str, Collection[Any]]) -> None:
        """Log a table, by column, all of one length; a column of paths is shown as pictures."""

    def image(self, name: str, step: int, path: Path, caption: str = "") -> None:
        """Log a picture from a file, which is copied."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """Log results of the whole run, such as held-out metrics; they may be nested."""

    def note(self, facts: Mapping[str, Any]) -> None:
        """Add facts of the manifest to those noted before."""

    def artifact(self, folder: Path, name: str) -> None:
        """Log a folder such as a checkpoint, which must not change and is not copied."""

    def finish(self, failed: bool) -> None:
        """End tracking; store or upload everything that is left."""
