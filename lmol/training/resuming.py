"""A transformers Trainer that continues from a StateSaver's state instead of stock checkpoints.

The stock loop skips the batches of the present epoch and restores the random generators after it.
"""

from __future__ import annotations

import multiprocessing
from typing import Any

from transformers import Trainer

from lmol.errors import LmolError
from lmol.training.saving import StateSaver

RESUMED = "the saved state"
"""Placeholder for the folder of a stock checkpoint; the stock loop only checks that it is given."""


class ResumingTrainer(Trainer):
    """Trainer whose state is saved and restored by `saver`, which the subclass makes."""

    saver: StateSaver
    _others: frozenset[int | None] = frozenset()
    """Processes that this process had begun before the training, such as a launcher's."""

    def _inner_training_loop(self, *args: Any, **kwargs: Any) -> Any:
        self._others = frozenset(child.pid for child in multiprocessing.active_children())
        kwargs["resume_from_checkpoint"] = None if self.saver.resumed is None else RESUMED
        return super()._inner_training_loop(*args, **kwargs)

    def _init_training_state(
        self, max_steps: int, steps_of_epoch: int, epochs: int, resumed: Any, trial: Any
    ) -> tuple[int, int]:
        """Return the epochs that are done, and the micro-batches of the present one."""
        begun: tuple[int, int] = super()._init_training_state(
            max_steps, steps_of_epoch, epochs, None, trial
        )
        if self.saver.resumed is None:
            return begun
        done, steps = divmod(self.saver.resumed.restore_position(), steps_of_epoch)
        return done, steps * self.args.gradient_accumulation_steps

    def _load_optimizer_and_scheduler(self, checkpoint: Any) -> None:
        if self.saver.resumed is not None:
            self.saver.resumed.restore_model()

    def _load_scaler(self, checkpoint: Any) -> None:
        """Do nothing: the loss scaler is restored with the optimizer."""

    def _load_rng_state(self, checkpoint: Any) -> None:
        if self.saver.resumed is not None:
            self.saver.resumed.restore_random()

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """Run an epoch, unless the continued training had ended, as by early stopping."""
        if not self.control.should_training_stop:
            super()._run_epoch(*args, **kwargs)

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """Return the batches of a step.

        If torch reports a dead or silent worker, kill the workers: at its end, Python would wait
        for one that hangs.
        """
        try:
            return super().get_batch_samples(*args, **kwargs)
        except RuntimeError:
            for child in multiprocessing.active_children():
                if child.pid not in self._others:
                    child.kill()
            raise

    def _get_num_items_in_batch(self, batches: list[Any], device: Any) -> Any:
        """Raise the LmolError that a worker returned as a batch; else return the stock number."""
        for batch in batches:
            if isinstance(batch, LmolError):
                raise batch
        return super()._get_num_items_in_batch(batches, device)
