"""The training states of a run: the newest two, each a folder below state/ of the run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lmol.errors import StateError
from lmol.runs.formats import FORMAT, KEY, require_format
from lmol.runs.result_folder import ResultFolder
from lmol.runs.state_folder import STATE, states_of
from lmol.system.signals import held
from lmol.training.state_files import read_state, write_state

KEPT = 2
"""Number of states that are kept: should the newest be damaged, the one before it is used."""


class StateFolder:
    """Writer of the states of a run. A state's name is a number, which grows, and its step.

    results: the run's folder; a state holds the sizes of its growing files.
    """

    def __init__(self, results: ResultFolder) -> None:
        self.results = results

    def save(self, state: Mapping[str, Any], step: int) -> None:
        """Write a state, and remove all but the newest two.

        Raises an OSError if the disk is full; earlier states then stay.
        """
        known = states_of(self.results.path)
        number = 1 + (int(known[-1].name.partition("-")[0]) if known else 0)
        folder = self.results.path / STATE / f"{number:06d}-step-{step}"
        with held():
            write_state(folder, {KEY: FORMAT, **state})
            for older in [*known, folder][:-KEPT]:
                _remove(older)


def read_training_state(folder: Path) -> dict[str, Any]:
    """Return a state of a run; raise StateError, naming the state before it, if it is damaged."""
    with offering_earlier(folder):
        state = read_state(folder)
    require_format(folder, state)
    return state


@contextmanager
def offering_earlier(folder: Path | None) -> Iterator[None]:
    """Name the state before this one, if there is one, in a StateError of the block.

    folder: the state that is continued; None if none is.
    """
    try:
        yield
    except StateError as error:
        states = states_of(folder.parents[1]) if folder else []
        before = [path for path in states if folder and path < folder]
        if not before:
            raise
        raise StateError(
            error.where,
            got=error.got,
            expected=error.expected,
            remedy=f"continue from the state before it: resume={before[-1]}",
        ) from error


def _remove(folder: Path) -> None:
    """Remove a state such that a killed process leaves no part of it under its name."""
    hidden = folder.with_name(f".{folder.name}.old")
    folder.rename(hidden)
    shutil.rmtree(hidden)
