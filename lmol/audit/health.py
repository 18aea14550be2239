"""The monitor of a run's health: it applies the rules to steps and validations, and intervenes.

This module also has early stopping.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import EarlyStoppingCallback, TrainerCallback

from lmol.audit.findings import Findings, finding_of
from lmol.audit.health_rules import AT_ONCE, AT_VALIDATION, BY_WINDOW, Course, Validated
from lmol.audit.interventions import NON_FINITE, Interventions
from lmol.audit.monitored import MonitoredTraining
from lmol.audit.parameters import AuditedTensor
from lmol.audit.signals import History, StepSums, values
from lmol.config.schema import Action, EarlyStoppingConfig
from lmol.verdict import Verdict

EVERY = 8
"""Number of steps between two checks of the windows."""


class HealthCallback(TrainerCallback):
    """Callback that reads the signals of a step between its backward pass and its update.

    A step with a gradient that is not finite is never taken, for any action of the rules.
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

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        optimizer = kwargs["optimizer"]
        self._interventions.keep(optimizer, state.global_step, state.epoch or 0.0)
        self._course = Course(
            num_steps=state.max_steps,
            warmup_steps=math.ceil(self._training.optim.warmup_ratio * state.max_steps),
            window=self._config.window,
            scaled=getattr(optimizer, "scaler", None) is not None,
        )
        self._began = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        validations = [asdict(validated) for validated in self._validations]
        return {"validations": validations, "clean_since_good": self._clean_since_good}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._validations = [Validated(**validated) for validated in state["validations"]]
        self._clean_since_good = state["clean_since_good"]

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # Findings from before the first step or from a validation.
        self._act(**kwargs)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        step = state.global_step + 1
        signals = self._sums.read(step, self._began)
        self._history.steps.append(signals)
        self._check(AT_ONCE, step, self._history)
        if step % EVERY == 0:
            self._check(BY_WINDOW, step, self._history)
        finite = math.isfinite(signals.loss) and math.isfinite(signals.grad_norm)
        broken = not finite and not self._course.scaled  # a loss scaler skips such steps itself
        if self._act(**kwargs) or broken:
            kwargs["optimizer"].zero_grad(set_to_none=True)  # then the step changes nothing
            self._history.skipped.add(step)

    def _check(
        self, rules: Mapping[str, Callable[..., str | None]], step: int, *observed: object
    ) -> None:
        for name, rule in rules.items():
            config = getattr(self._config.rules, name)
            message = rule(*observed, self._course, config.threshold)
            if message is not None:
                self._findings.add(finding_of(name, config, step, message + self._why(name)))

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
        return f"{images}; {len(broken)} gradient(s) are not finite, the first of {broken[0]}"

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        step = state.global_step + 1
        if getattr(kwargs["optimizer"], "step_was_skipped", False):
            self._history.skipped.add(step)
            self._history.overflowed.add(step)
        elif step not in self._history.skipped:
            self._interventions.step_was_taken()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._act(**kwargs)
        self._began = time.monotonic()

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        step = state.global_step
        self._validations.append(self._validated(step, kwargs["metrics"]))
        self._check(AT_VALIDATION, step, self._validations, self._commonest)
        # Findings are acted on when the next step begins: these weights must be saved first.
        if self._clean_since_good and not self._findings.is_pending():
            self._interventions.keep(kwargs["optimizer"], step, state.epoch or 0.0)
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

    def _act(self, optimizer: Any, lr_scheduler: Any, **kwargs: Any) -> bool:
        """Apply one intervention: the most severe of the pending actions, the last in Action.

        Return True if the present gradients must be dropped: the step is skipped, or weights were
        rolled back and the gradients belong to other weights.
        """
        severity = list(Action).index
        pending = sorted(self._findings.take_pending(), key=lambda found: severity(found.action))
        if not pending:
            return False
        most_severe = pending[-1]
        drop = self._interventions.act(most_severe, optimizer, lr_scheduler)
        if most_severe.action is Action.SKIP_STEP:
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
