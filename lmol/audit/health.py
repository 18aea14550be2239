"""The monitor of a run's health: it applies the rules to steps and validations, and intervenes.

This module also has early stopping.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import (
    EarlyStoppingCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from lmol.audit.findings import Finding, Findings, finding_of
from lmol.audit.health_rules import (
    AT_ONCE,
    AT_VALIDATION,
    BY_WINDOW,
    Course,
    Validated,
)
from lmol.audit.interventions import NON_FINITE, Interventions
from lmol.audit.monitored import MonitoredTraining
from lmol.audit.parameters import AuditedTensor
from lmol.audit.signals import History, StepSums, values
from lmol.config.schema import Action, EarlyStoppingConfig
from lmol.verdict import Verdict

EVERY = 8
"""Number of steps between two checks of the windows."""

GRAVITY = {action: place for place, action in enumerate(Action)}
"""Rank of each action; the later one in the enumeration has the larger effect."""


class HealthCallback(TrainerCallback):
    """Callback that reads the signals of a step between its backward pass and its update.

    A step with a gradient that is not finite is never taken, whatever the rules' actions are.
    """

    def __init__(
        self,
        training: MonitoredTraining,
        interventions: Interventions,
        findings: Findings,
        history: History,
        sums: StepSums,
        tensors: Sequence[AuditedTensor],
    ) -> None:
        self._training, self._interventions = training, interventions
        self._config = training.train.health
        self._findings, self._history, self._sums = findings, history, sums
        self._tensors = tensors
        self._commonest = commonest_share(training.validation_pairs["label"])
        self._validations: list[Validated] = []
        self._began = 0.0
        self._clean_since_good = True

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        self._interventions.keep(optimizer, state.global_step, state.epoch or 0.0)
        self._course = Course(
            num_steps=state.max_steps,
            warmup_steps=math.ceil(self._training.optim.warmup_ratio * state.max_steps),
            window=self._config.window,
            scaled=getattr(optimizer, "scaler", None) is not None,
        )
        self._began = time.monotonic()

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Any = None,
        lr_scheduler: Any = None,
        **kwargs: Any,
    ) -> None:
        self._act(optimizer, lr_scheduler)  # findings from before the first step or from validation

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Any = None,
        lr_scheduler: Any = None,
        **kwargs: Any,
    ) -> None:
        step = state.global_step + 1
        signals = self._sums.read(step, self._began)
        self._history.add(signals)
        for finding in self._of_step(step):
            self._findings.add(finding)
        finite = math.isfinite(signals.loss) and math.isfinite(signals.grad_norm)
        broken = not finite and not self._course.scaled  # a loss scaler skips such steps itself
        if self._act(optimizer, lr_scheduler) or broken:
            optimizer.zero_grad(set_to_none=True)  # without gradients the step changes nothing
            self._history.skipped.add(step)

    def _of_step(self, step: int) -> list[Finding]:
        rules = AT_ONCE | (BY_WINDOW if step % EVERY == 0 else {})
        found = []
        for name, rule in rules.items():
            config = getattr(self._config.rules, name)
            message = rule(self._history, self._course, config.threshold)
            if message is not None:
                found.append(finding_of(name, config, step, message + self._why(name)))
        return found

    def _why(self, rule: str) -> str:
        """Return the cause of a non-finite number; searched only once because it takes time."""
        if rule not in NON_FINITE or rule in self._findings.entries:
            return ""
        images = self._training.explain() if rule == "non_finite_loss" else ""
        norms = self._sums.tensor_norms
        finite = [] if norms is None else torch.isfinite(norms).tolist()
        broken = [t.short for t, known in zip(self._tensors, finite, strict=False) if not known]
        if not broken:
            return images
        return f"{images}; of {len(broken)} gradients, {broken[0]} first, so is the norm"

    def on_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        step = state.global_step + 1
        if getattr(optimizer, "step_was_skipped", False):
            self._history.skipped.add(step)
            self._history.overflowed.add(step)
        elif step not in self._history.skipped:
            self._interventions.step_was_taken()

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Any = None,
        lr_scheduler: Any = None,
        **kwargs: Any,
    ) -> None:
        self._act(optimizer, lr_scheduler)
        self._began = time.monotonic()

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        step = state.global_step
        self._validations.append(self._validated(step, metrics or {}))
        for name, rule in AT_VALIDATION.items():
            config = getattr(self._config.rules, name)
            message = rule(self._validations, self._commonest, self._course, config.threshold)
            if message is not None:
                self._findings.add(finding_of(name, config, step, message))
        # Findings are acted on when the next step begins: these weights must be saved first.
        if self._clean_since_good and not self._findings.is_pending():
            self._interventions.keep(optimizer, step, state.epoch or 0.0)
        self._clean_since_good = True
        self._began = time.monotonic()

    def _validated(self, step: int, metrics: dict[str, float]) -> Validated:
        window = self._history.last(self._config.window)
        accuracy, entropy = (
            float(np.mean(values(window, name))) if window else 0.0
            for name in ("accuracy", "cross_entropy")
        )
        return Validated(
            step=step,
            accuracy=metrics.get("eval_accuracy", 0.0),
            training=accuracy,
            entropy=metrics.get("eval_comparable_cross_entropy", 0.0),
            training_entropy=entropy,
        )

    def _act(self, optimizer: Any, scheduler: Any) -> bool:
        """Apply one intervention: the most severe of the pending actions.

        Return True if the present gradients must be dropped: the step is left out, or weights were
        rolled back and the gradients belong to other weights.
        """
        pending = sorted(self._findings.take_pending(), key=lambda found: GRAVITY[found.action])
        if not pending:
            return False
        gravest = pending[-1]
        drop = self._interventions.act(gravest, optimizer, scheduler)
        if gravest.action is Action.SKIP_STEP:
            if not drop:  # no longer an exception: restart the window without the older steps
                self._history.restart()
            return drop
        self._clean_since_good = False
        self._history.restart()
        return drop or any(found.action is Action.SKIP_STEP for found in pending)


def commonest_share(labels: pd.Series) -> float:
    """Return the share of the most common label; First and Second, swapped, are equally common."""
    similar = float((labels == Verdict.SIMILAR.title).mean())
    return max(similar, (1 - similar) / 2)


def early_stopping(config: EarlyStoppingConfig) -> list[TrainerCallback]:
    """Return the stock callback on the validation metric, or an empty list if patience is 0."""
    if config.patience == 0:
        return []
    return [EarlyStoppingCallback(config.patience, config.min_delta)]
