"""All that watches a training run, put together: signals, health, audit, and their report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd
from transformers import TrainerCallback

from lmol.audit.callback import AuditCallback
from lmol.audit.findings import Findings
from lmol.audit.gradients import gradient_norms
from lmol.audit.health import HealthCallback
from lmol.audit.interventions import Remedies
from lmol.audit.output import AuditOutput
from lmol.audit.parameters import AuditedTensor, audited_tensors
from lmol.audit.plots import Marks
from lmol.audit.signals import History, StepSums
from lmol.audit.summary import summarise
from lmol.config.schema import (
    Action,
    AuditConfig,
    AuditLevel,
    AuditRules,
    HealthRules,
    OptimConfig,
    TrainConfig,
)
from lmol.model.pair_model import PairModel
from lmol.runs.result_folder import ResultFolder
from lmol.tracking.tracker import Tracker
from lmol.verdict import Verdict


@dataclass(kw_only=True, eq=False)
class Watching:
    """What the Trainer calls while it trains. audit: None where nothing is audited."""

    tensors: list[AuditedTensor]
    sums: StepSums
    history: History
    findings: Findings
    remedies: Remedies
    health: HealthCallback
    tracker: Tracker
    audit: AuditCallback | None = None
    output: AuditOutput | None = None

    @property
    def callbacks(self) -> list[TrainerCallback]:
        """Health first: it decides between backward pass and update, and the audit looks on."""
        return [self.health, *([] if self.audit is None else [self.audit])]

    @contextmanager
    def forward(self) -> Iterator[None]:
        """Around a forward pass of training."""
        if self.audit is None:
            yield
            return
        with self.audit.watch_forward():
            yield

    def backward_done(self) -> None:
        """All micro-batches of a step are done, and gradients are not clipped yet."""
        self.sums.tensor_norms = gradient_norms(self.tensors)
        if self.audit is not None:
            self.audit.backward_done()

    def close(self) -> dict[str, Any]:
        """Prove frozen weights unchanged, write the summary, and return the health report.

        Called however training ended; `stop_where_pending` then acts on what was found here.
        """
        if self.audit is not None:
            self.audit.finish()
        report = {
            "steps": len(self.history.steps),
            "skipped_steps": len(self.history.skipped),
            "findings": self.findings.as_list(),
        }
        if self.output is not None:
            asked = len(fields(AuditRules)) + len(fields(HealthRules))
            audited, memory = self.output.audited, self.output.memory
            self.output.close(self.history.steps, summarise(report, audited, memory, asked))
        return report

    def stop_where_pending(self) -> None:
        """Raise HealthError where what was found at the last step, or after it, stops the run."""
        for finding in self.findings.take_pending():
            if finding.action is Action.STOP:
                raise self.remedies.stopping(finding, "the rule's action is stop")


def watch(
    model: PairModel,
    train: TrainConfig,
    optim: OptimConfig,
    audit: AuditConfig,
    run: ResultFolder,
    *,
    training_pairs: pd.DataFrame,
    validation_pairs: pd.DataFrame,
    theta: float,
    tracker: Tracker,
    explain: Callable[[], str] = lambda: "",
    every: bool = False,
) -> Watching:
    """Return the monitor of a training, which writes to a run folder and its tracker.

    explain: told after a non-finite loss, what it comes from. every: audit each step.
    """
    sums, history, findings = StepSums(), History(), Findings()
    tensors = audited_tensors(model)
    remedies = Remedies(train.health, model, findings)
    health = HealthCallback(
        train.health,
        remedies,
        findings,
        history,
        sums,
        tensors,
        warmup_ratio=optim.warmup_ratio,
        commonest=commonest_share(validation_pairs["label"]),
        explain=explain,
    )
    watching = Watching(
        tensors=tensors,
        sums=sums,
        history=history,
        findings=findings,
        remedies=remedies,
        health=health,
        tracker=tracker,
    )
    if audit.level is not AuditLevel.OFF:
        marks = marks_of(train, optim, audit)
        watching.output = AuditOutput(run, marks, audit.picture_interval, tracker)
        watching.audit = AuditCallback(
            audit,
            model,
            findings,
            history,
            watching.output,
            training_pairs=training_pairs,
            theta=theta,
            warmup_ratio=optim.warmup_ratio,
            precision=train.precision,
            recomputed=train.activation_checkpointing,
            every=every,
        )
    return watching


def commonest_share(labels: pd.Series) -> float:
    """Share of the most common label among pairs in both orders, where First is Second's equal."""
    similar = float((labels == Verdict.SIMILAR.title).mean())
    return max(similar, (1 - similar) / 2)


def marks_of(train: TrainConfig, optim: OptimConfig, audit: AuditConfig) -> Marks:
    """The thresholds that the pictures show."""
    rules = train.health.rules
    return Marks(
        tiny=audit.assert_tiny,
        clip=optim.grad_clip or None,
        high=rules.gradient_norm_high.threshold,
        explosion=rules.gradient_explosion.threshold,
    )
