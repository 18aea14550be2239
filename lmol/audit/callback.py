"""The audit as a Trainer callback: it selects the steps to audit and writes their records."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer
from transformers import TrainerCallback

from lmol.audit import rules
from lmol.audit.activations import ActivationWatch
from lmol.audit.findings import Findings
from lmol.audit.memory import (
    counting_saved,
    largest_batch,
    memory_by_kind,
    phase_memory,
    total_memory,
)
from lmol.audit.monitored import MonitoredTraining
from lmol.audit.output import AuditOutput
from lmol.audit.parameters import AuditedTensor, audited_tensors
from lmol.audit.record import AuditRecord
from lmol.audit.signals import History, StepSignals
from lmol.audit.step import OpenStep
from lmol.audit.step_rules import FEWEST_ANSWERS
from lmol.audit.updates import changed, frozen_hashes
from lmol.config.schema import AuditLevel, Precision
from lmol.system.distributed import of_first

SETTLED = 2
"""Number of first steps to audit; memory is then stable, because the optimizer has its state."""


class AuditCallback(TrainerCallback):
    """Audit of steps 1 and 2, every `interval`-th and the last; `finish` checks the frozen weights.

    All adapters of the trained model are enabled.
    """

    def __init__(
        self,
        training: MonitoredTraining,
        findings: Findings,
        history: History,
        output: AuditOutput,
    ) -> None:
        self._training, self._config, self._model = training, training.audit, training.model
        self._findings, self._history, self._output = findings, history, output
        self._precision = training.train.precision
        fp16 = self._precision is Precision.FP16
        self._half = torch.float16 if fp16 else torch.bfloat16  # its underflow is counted
        self._interval = 1 if training.every_step else self._config.interval
        self._full = self._config.level is AuditLevel.FULL
        self._open: OpenStep | None = None
        self._last = 0
        self._warmup = 0
        self._tensors: list[AuditedTensor] = []
        self._frozen: dict[str, torch.Tensor] = {}
        self._scaler: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Check adapters and training pairs, and save hashes of the frozen weights."""
        self._warmup = math.ceil(self._training.optim.warmup_ratio * state.max_steps)
        self._scaler = getattr(kwargs["optimizer"], "scaler", None)
        self._tensors = audited_tensors(self._model)
        token = self._model.image_token
        self._activations = ActivationWatch(self._model, token, full=self._full)
        self._frozen = frozen_hashes(self._model)
        for finding in rules.of_start(self._training):
            self._findings.add(finding)

    def state_dict(self) -> dict[str, Any]:
        return {"last": self._last, "frozen": self._frozen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        device = self._model.device
        self._last = state["last"]
        self._frozen = {name: known.to(device) for name, known in state["frozen"].items()}

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        step = state.global_step + 1
        due = step <= SETTLED or step % self._interval == 0 or step == state.max_steps
        self._open = OpenStep(step=step, tensors=self._tensors) if due else None
        self._note_memory("before")

    @contextmanager
    def watch_forward(self) -> Iterator[None]:
        """Record the activations of the first micro-batch of an audited step."""
        if self._open is None or self._open.watched:
            yield
            return
        self._open.watched = True
        with self._activations.looking() as self._open.seen:
            if self._output.saved_bytes is None:
                with counting_saved(self._model) as saved:
                    yield
                self._output.saved_bytes = sum(saved.values())
            else:
                yield
        self._note_memory("forward")

    def backward_done(self) -> None:
        """Measure the gradients once the step has all of them and before they are clipped."""
        if self._open is not None:
            self._note_memory("backward")
            scale = None if self._scaler is None else self._scaler.get_scale()
            self._open.backward_done(scale, self._half, full=self._full)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._open is not None:
            self._open.clipped()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._open is None:
            return
        self._note_memory("optimizer")
        opened, self._open, optimizer = self._open, None, kwargs["optimizer"]
        record = self._record(opened, optimizer)
        # Each process has activations of its own pairs, but all need the same findings.
        for finding in of_first(list(rules.of_step(record, self._config.rules))):
            self._findings.add(finding)
        self._output.write(record, opened.memory)
        if opened.step <= SETTLED:
            batch = args.per_device_train_batch_size
            self._output.memory = self._memory(opened, optimizer, batch)
        self._last = opened.step

    def _record(self, opened: OpenStep, optimizer: Optimizer) -> AuditRecord:
        gradients, updates, activations = opened.finish(optimizer)
        steps = self._history.steps[self._last :]
        num_overflowed = self._history.num_overflowed(self._last)
        return AuditRecord(
            step=opened.step,
            gradients=gradients,
            updates=updates,
            activations=activations,
            precision={
                "step": opened.step,
                "precision": self._precision.value,
                "scale": opened.scale,
                "skipped_steps": len(self._history.skipped),
                "overflowed_since_last": num_overflowed,
                "gradient_underflow": float(np.nan_to_num(gradients["underflow_share"]).mean()),
                "unchanged_in_bf16": float(updates["unchanged_in_bf16"].mean()),
            },
            skipped=opened.step in self._history.skipped,
            overflowed=opened.step in self._history.overflowed,
            rate_share=rate_share(optimizer),
            since=steps,
            num_overflowed=num_overflowed,
            answers=self._late_answers(len(steps)),
            assert_tiny=self._config.assert_tiny,
        )

    def _late_answers(self, num_since: int) -> Sequence[StepSignals]:
        """Return the steps after warm-up since the last audit, or more to have enough answers."""
        a_step = sum(self._history.steps[-1].answers)
        num = max(num_since, -(-FEWEST_ANSWERS // max(a_step, 1)))
        return self._history.last(num, after=self._warmup)

    def _memory(self, opened: OpenStep, optimizer: Any, batch_pairs: int) -> dict[str, Any]:
        """Return the bytes by kind at this step, and the largest batch that would fit."""
        device = self._model.device
        by_kind = memory_by_kind(self._model, self._tensors, optimizer)
        recomputed = self._training.train.activation_checkpointing
        saved = 0 if recomputed else self._output.saved_bytes or 0
        total = total_memory(device, by_kind)
        batch = largest_batch(opened.memory, by_kind, saved, batch_pairs, total)
        return {**by_kind, "saved_activations": saved, "largest_batch_pairs": batch}

    def _note_memory(self, phase: str) -> None:
        if self._open is not None:
            row = phase_memory(phase, self._model.device)
            self._open.memory.append({"step": self._open.step, **row})

    def finish(self) -> None:
        """Report the frozen weights that have changed since the start of training."""
        if not self._frozen:  # training did not begin
            return
        after = frozen_hashes(self._model)
        step = self._history.steps[-1].step if self._history.steps else 0
        for finding in rules.of_frozen(changed(self._frozen, after), step, self._config.rules):
            self._findings.add(finding)


def rate_share(optimizer: Optimizer) -> float:
    """Return the learning rate as a share of its peak; 0 if all peaks are 0."""
    groups = [group for group in optimizer.param_groups if group.get("initial_lr", group["lr"]) > 0]
    return max((g["lr"] / g.get("initial_lr", g["lr"]) for g in groups), default=0.0)
