"""The state of a training, saved so that a later process continues it to the same bits.

Saved are trained weights, optimizer, schedule, loss scaler, the random generators of every process,
the position in the data, and what the monitor, the records and early stopping know so far.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from lmol.system.distributed import num_processes, over_processes, process_index
from lmol.system.resumable import Resumable
from lmol.system.signals import SIGNALS_OF_PROCESS, Stopped, TimeLimit

if TYPE_CHECKING:
    from lmol.training.trainer import ComparisonTrainer

POSITION = ("global_step", "epoch", "best_metric", "best_global_step", "log_history")
"""Fields of the Trainer's own state that are restored; the others follow from the settings."""


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
        ending, step = self._ending(), self._trainer.state.global_step
        if step == self._ended and not ending:  # the end of the last step was the epoch's end too
            return
        self._ended = step
        if self._any_process(ending or validated or self._due()):
            self._gather_random()
            self.save(validation_due=False)
        if self._any_process(ending):
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


class ResumedState:
    """A saved state, and the Trainer that continues from it."""

    def __init__(self, trainer: ComparisonTrainer, state: Mapping[str, Any]) -> None:
        self._trainer, self._state = trainer, state

    def restore_model(self) -> None:
        """Restore weights, optimizer, schedule and loss scaler."""
        trainer, state = self._trainer, self._state
        trainer.pair_model.load_trained_state(state["weights"])
        optimizer, schedule = prepared(trainer)
        both = zip(optimizer.state_dict()["param_groups"], state["rates"], strict=True)
        moments = {int(number): one for number, one in state["optimizer"].items()}
        groups = [{**group, **rates} for group, rates in both]
        optimizer.load_state_dict({"state": moments, "param_groups": groups})
        schedule.load_state_dict(dict(state["schedule"]))
        if state["scaler"] is not None:
            trainer.accelerator.scaler.load_state_dict(state["scaler"])

    def restore_position(self) -> int:
        """Restore the Trainer's own state, and return the number of steps done."""
        self._trainer.logged = self._state["logged"]
        for name in POSITION:
            setattr(self._trainer.state, name, self._state["trainer"][name])
        return int(self._trainer.state.global_step)

    def restore_parts(self) -> None:
        """Restore the monitor, the records and the stock callbacks."""
        for name, part in parts_of(self._trainer).items():
            part.load_state_dict(self._state["parts"][name])
        for one in stock_callbacks(self._trainer):
            for name, value in self._state["stock"][type(one).__name__].items():
                setattr(one, name, value)
        self._trainer.control.should_training_stop = self._state["stopping"]

    def restore_random(self) -> None:
        """Restore the random generators of this process."""
        set_random_state(self._state["random"][process_index()])

    @property
    def validation_due(self) -> bool:
        """Return whether the validation of the last step had not ended."""
        return bool(self._state["validation_due"])

    @property
    def seconds(self) -> float:
        """Return the duration of the training before the state was saved."""
        return float(self._state["seconds"])


class Restoring(TrainerCallback):
    """The last callback: at the start of a continued training it restores what others began anew.

    A validation that was due is done then, before the next step.
    """

    def __init__(self, trainer: ComparisonTrainer) -> None:
        self._trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        resumed = self._trainer.saver.resumed
        if resumed is None:
            return
        resumed.restore_parts()
        resumed.restore_random()
        if resumed.validation_due:
            self._trainer.validate_again()


def prepared(trainer: ComparisonTrainer) -> tuple[Any, Any]:
    """Return optimizer and schedule of a Trainer that trains."""
    assert trainer.optimizer is not None, "the Trainer makes it before the first step"
    return trainer.optimizer, trainer.lr_scheduler


def parts_of(trainer: ComparisonTrainer) -> dict[str, Resumable]:
    """Return what has a state beside weights and optimizer; the files come after their writers."""
    monitor, states = trainer.monitor, trainer.settings.states
    others = [one for one in trainer.callback_handler.callbacks if one not in monitor.callbacks]
    found = {type(one).__name__: one for one in others if isinstance(one, Resumable)}
    files = {} if states is None else {"files": states.results}
    return {"monitor": monitor, **found, **files}


def stock_callbacks(trainer: ComparisonTrainer) -> list[Any]:
    """Return the callbacks of transformers that have a state, such as early stopping."""
    return [one for one in trainer.callback_handler.callbacks if isinstance(one, ExportableState)]


def random_state() -> dict[str, Any]:
    """Return the state of this process's random generators: Python, NumPy, torch, CUDA."""
    kind, words, *rest = cast("tuple[Any, ...]", np.random.get_state(legacy=True))
    version, numbers, gauss = random.getstate()
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [kind, words.tolist(), *rest],
        "torch": torch.get_rng_state(),
        "cuda": cuda,
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Restore what `random_state` returned."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, words, *rest = state["numpy"]
    np.random.set_state((kind, np.array(words, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
