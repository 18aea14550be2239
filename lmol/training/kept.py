"""Checkpoint `last` during a run, and the checkpoints that remain when it is stopped."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lmol.errors import CheckpointError
from lmol.model.checkpoint import read_meta, save_checkpoint

if TYPE_CHECKING:
    from lmol.training.trainer import ComparisonTrainer


def keep_last(trainer: ComparisonTrainer) -> None:
    """Replace `last` by the present weights, if they are trained, finite and of a whole step.

    The other processes of torchrun do not wait: none reads `last` before the end.
    """
    if trainer.args.should_save and trainer.steps.whole and trainer.state.global_step > 0:
        with suppress(CheckpointError):  # not finite: the older `last` is more useful
            save_checkpoint(trainer.pair_model, trainer.folder / "last", trainer.facts())


def kept(folder: Path) -> str:
    """Return the checkpoints of a stopped run as text for the command's last line."""
    found = [kind for kind in ("last", "best") if (folder / kind).is_dir()]
    if not found:
        return f"no checkpoint was kept in {folder}"
    steps = ", ".join(f"{kind} of step {read_meta(folder / kind)['step']}" for kind in found)
    return f"kept: {steps}, in {folder}"
