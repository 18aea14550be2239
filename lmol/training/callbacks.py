"""Display and records of a model's training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from accelerate.utils import set_seed
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lmol.system.progress import Advance, progress
from lmol.system.signals import SIGNALS_OF_PROCESS
from lmol.tracking.tracker import Tracker

log = logging.getLogger(__name__)

SHORT = {"projector": "Proj", "lora": "LoRA"}
"""Names of parameter groups in the log."""


def log_line(batch: int, logs: dict[str, float]) -> str:
    """Return the training log's line for `batch` micro-batches."""
    return (
        f"Batch {batch:4d} | Epoch {logs['epoch']:.5f} | Loss: {logs['loss']:.3e} "
        f"(CE: {logs['cross_entropy']:.3e}, Cons: {logs['consistency']:.3e}) | "
        f"Acc: {logs['accuracy']:.4f} | LR: {_rates(logs)} | Grad: {logs['grad_norm']:.2e}"
    )


def _rates(logs: dict[str, float]) -> str:
    rates = {name.removeprefix("lr_"): rate for name, rate in logs.items() if name[:3] == "lr_"}
    return ", ".join(f"{SHORT.get(name, name)} = {rate:.2e}" for name, rate in rates.items())


class RunLog(TrainerCallback):
    """Callback that logs each training or validation record, passes it to `record`, and keeps it.

    records: the kept records. tracker: receives its numbers too.
    """

    def __init__(
        self, record: Callable[[dict[str, Any]], None], tracker: Tracker | None = None
    ) -> None:
        self._record, self._tracker = record, tracker or Tracker()
        self.records: list[dict[str, Any]] = []

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero or not logs:
            return
        if "loss" in logs:
            log.info(log_line(state.global_step * args.gradient_accumulation_steps, logs))
        elif any(name.startswith("eval_") for name in logs):
            log.info(_validation_line(logs))
        else:
            return
        self.records.append({"step": state.global_step, **logs})
        self._record(self.records[-1])
        self._track(self.records[-1])

    def state_dict(self) -> dict[str, Any]:
        return {"records": self.records}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the records; a tracker that lacks those of earlier processes receives them."""
        self.records = list(state["records"])
        for record in () if self._tracker.continues else self.records:
            self._track(record)

    def _track(self, record: Mapping[str, Any]) -> None:
        numbers = {tracked_name(name): value for name, value in record.items() if name != "step"}
        self._tracker.log(record["step"], numbers)


def _validation_line(logs: dict[str, float]) -> str:
    shown = ("accuracy", "macro_f1", "cross_entropy", "pearson")
    values = [(name, logs[f"eval_{name}"]) for name in shown if f"eval_{name}" in logs]
    return "Validation | " + " | ".join(f"{name}: {value:.4f}" for name, value in values)


def tracked_name(name: str) -> str:
    """Return train/loss or validation/accuracy for a name in a record."""
    bare = name.removeprefix("eval_")
    return f"train/{name}" if bare == name else f"validation/{bare}"


class LastRecord(TrainerCallback):
    """Callback that makes a training record of the last steps if they have none yet."""

    def on_step_end(
        self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        control.should_log |= state.global_step >= state.max_steps


class WholeSteps(TrainerCallback):
    """Callback that lets signals wait while steps are computed, so that what is kept is whole.

    It is the first of all callbacks. whole: False during an update, or after an error in one.
    """

    whole = True
    _held = False

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        SIGNALS_OF_PROCESS.hold()
        self._held = True

    def on_pre_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        self.whole = False

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.whole = True

    def close(self) -> None:
        """Raise the waiting signal, if any, after the training or after an error in it."""
        if self._held:
            self._held = False
            SIGNALS_OF_PROCESS.release()


class OwnDropout(TrainerCallback):
    """Callback that gives each process its own dropout; weights and order of pairs are shared."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if args.world_size > 1:
            set_seed(args.seed, device_specific=True)


class ProgressBar(TrainerCallback):
    """Progress bar (Rich) of optimizer steps; without a terminal, the log lines say the same."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._advance: Advance = lambda units: None

    def on_train_begin(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            bar = progress("Training", state.max_steps, "steps")
            self._advance = self._stack.enter_context(bar)
            self._advance(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._advance(1)

    def close(self) -> None:
        """Remove the bar from the terminal; after an error, on_train_end is not called."""
        self._stack.close()
