"""The restoration of a training from a saved state, part by part."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from lmol.errors import StateError
from lmol.runs.state_folder import STATE
from lmol.system.distributed import process_index
from lmol.system.resumable import Resumable

if TYPE_CHECKING:
    from lmol.training.trainer import ComparisonTrainer

POSITION = ("global_step", "epoch", "best_metric", "best_global_step", "log_history")
"""Fields of the Trainer's own state that are restored; the others follow from the settings."""


class ResumedState:
    """A saved state, and the Trainer that continues from it."""

    def __init__(self, trainer: ComparisonTrainer, state: Mapping[str, Any]) -> None:
        self._trainer, self._state = trainer, state

    def restore_model(self) -> None:
        """Restore weights, optimizer, schedule and loss scaler."""
        with self._fitting():
            self._restore_model()

    def _restore_model(self) -> None:
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
        with self._fitting():
            self._trainer.logged = self._state["logged"]
            for name in POSITION:
                setattr(self._trainer.state, name, self._state["trainer"][name])
            return int(self._trainer.state.global_step)

    def restore_parts(self) -> None:
        """Restore the monitor, the records and the stock callbacks."""
        with self._fitting():
            self._restore_parts()

    def _restore_parts(self) -> None:
        for name, part in parts_of(self._trainer).items():
            part.load_state_dict(self._state["parts"][name])
        for one in stock_callbacks(self._trainer):
            for name, value in self._state["stock"][type(one).__name__].items():
                setattr(one, name, value)
        self._trainer.control.should_training_stop = self._state["stopping"]

    def restore_random(self) -> None:
        """Restore the random generators of this process."""
        with self._fitting():
            set_random_state(self._state["random"][process_index()])

    @contextmanager
    def _fitting(self) -> Iterator[None]:
        """Turn an error about a part that is missing or of another form into a StateError."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise StateError(
                self._trainer.folder.parent / STATE,
                got=f"a state that does not fit this training ({error!r})",
                expected="the parts that this version of LMOL saves",
                remedy="continue from another state, or train anew",
            ) from error

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
