"""Names of the training states of a run; lmol/training/states.py writes and reads them."""

from __future__ import annotations

from pathlib import Path

STATE = "state"


def states_of(run: Path) -> list[Path]:
    """Return the folders of a run's whole states, oldest first."""
    return sorted((run / STATE).glob("[0-9]*-step-*"))


def newest_state(run: Path) -> Path | None:
    """Return the newest state of a run; None before its first."""
    return next(reversed(states_of(run)), None)


def step_of(state: Path) -> int:
    """Return the optimizer step of a state."""
    return int(state.name.rpartition("-")[2])
