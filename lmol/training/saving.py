"""The state of a training, saved so that a later process continues it to the same bits.

Saved are trained weights, optimizer, schedule, loss scaler, the random generators of every process,
the position in the data, and what the monitor, the records and early stopping know so far.
"""

from __future__ import annotations

import signal
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from lmol.system.distributed import num_processes, over_processes
from lmol.system.signals import SIGNALS_OF_PROCESS, Stopped, TimeLimit
from lmol.training.restoring import (
    POSITION,
    ResumedState,
    parts_of,
    prepared,
    random_state,
    stock_callbacks,
)

if TYPE_CHECKING:
    from lmol.training.trainer import ComparisonTrainer


class StateSaver:
    """Saver of the state of a Trainer's training. resumed: the state that it continues from."""

    def __init__(self, trainer: ComparisonTrainer) -> None:
        settings = trainer.settings
        config, state = settings.train, settings.resumed
        self._trainer, self._states = trainer, settings.states
        self.resumed = None if state is None else ResumedState(trainer, state)
        self._every, self._limit = config.save_every, config.max_minutes
        self._begun = self._saved_at = time.monotonic()
        self._random: list[Any] = []
        self._ended = 0

    @property
    def seconds(self) -> float:
        """Return the duration of the training so far in seconds, in all processes one by one."""
        before = 0.0 if self.resumed is None else self.resumed.seconds
        return before + time.monotonic() - self._begun

    def end_of_step(self, *, validated: bool) -> None:
        """Save the state if it is due; raise Stopped if a signal or the time limit ends the run.

        Call it when everything about an optimizer step, also its validation, is done.
        """
        ending, step = self._any_process(self._ending()), self._trainer.state.global_step
        if step == self._ended and not ending:  # the end of the last step was the epoch's end too
            return
        self._ended = step
        if ending or self._any_process(validated or self._due()):
            self._gather_random()
            self.save(validation_due=False)
        if ending:
            if SIGNALS_OF_PROCESS.pending:
                SIGNALS_OF_PROCESS.raise_pending()
            raise TimeLimit if self._over_limit() else Stopped(signal.SIGTERM)

    def before_validation(self) -> None:
        """Note the random generators; a validation that a signal ends must not wait for others."""
        self._gather_random()

    def save(self, *, validation_due: bool) -> None:
        """Save the state. validation_due: the validation of this step has not ended."""
        self._saved_at = time.monotonic()
        if self._states is not None and self._states.results.writes:
            state = self._collected(validation_due)
            self._states.save(state, self._trainer.state.global_step)

    def _ending(self) -> bool:
        return bool(SIGNALS_OF_PROCESS.pending) or self._over_limit()

    def _over_limit(self) -> bool:
        return self._limit is not None and time.monotonic() - self._begun > 60 * self._limit

    def _due(self) -> bool:
        if isinstance(self._every, int):
            return self._trainer.state.global_step % self._every == 0
        minutes = float(self._every.removesuffix("m"))
        return time.monotonic() - self._saved_at > 60 * minutes

    def _any_process(self, here: bool) -> bool:
        """Return whether a statement holds in any process; all processes get the same answer."""
        if num_processes() == 1:
            return here
        flag = torch.tensor(float(here), device=self._trainer.args.device)
        return bool(over_processes(flag, "sum") > 0)

    def _gather_random(self) -> None:
        mine = random_state()
        if num_processes() == 1:
            self._random = [mine]
            return
        from accelerate.utils import gather_object

        self._random = gather_object([mine])

    def _collected(self, validation_due: bool) -> dict[str, Any]:
        trainer = self._trainer
        optimizer, schedule = prepared(trainer)
        state, scaler = asdict(trainer.state), trainer.accelerator.scaler
        moments = optimizer.state_dict()["state"]
        rates = ("lr", "initial_lr")
        return {
            "validation_due": validation_due,
            "stopping": trainer.control.should_training_stop,
            "seconds": self.seconds,
            "trainer": {name: state[name] for name in POSITION},
            "logged": trainer.logged,
            "random": self._random,
            "weights": trainer.pair_model.trained_state(),
            "optimizer": {str(number): one for number, one in moments.items()},
            "rates": [{name: group[name] for name in rates} for group in optimizer.param_groups],
            "schedule": schedule.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else None,
            "stock": {type(c).__name__: c.state()["attributes"] for c in stock_callbacks(trainer)},
            "parts": {name: part.state_dict() for name, part in parts_of(trainer).items()},
        }
