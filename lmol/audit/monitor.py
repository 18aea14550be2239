"""The monitor of a training run: signals, health and audit together, and their report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from transformers import TrainerCallback

from lmol.audit.callback import AuditCallback
from lmol.audit.findings import Findings
from lmol.audit.gradients import gradient_norms
from lmol.audit.health import HealthCallback
from lmol.audit.interventions import Interventions
from lmol.audit.monitored import MonitoredTraining
from lmol.audit.output import AuditOutput
from lmol.audit.parameters import AuditedTensor, audited_tensors
from lmol.audit.plots import Marks
from lmol.audit.signals import History, StepSums
from lmol.config.schema import Action, AuditLevel, AuditRules, HealthRules
from lmol.runs.result_folder import ResultFolder
from lmol.system.resumable import Resumable
from lmol.tracking.tracker import Tracker


@dataclass(kw_only=True, eq=False)
class Monitor:
    """Monitor that the Trainer calls while it trains. audit: None if there is no audit."""

    tensors: list[AuditedTensor]
    sums: StepSums
    history: History
    findings: Findings
    interventions: Interventions
    health: HealthCallback
    audit: AuditCallback | None = None
    output: AuditOutput | None = None

    @property
    def callbacks(self) -> list[TrainerCallback]:
        """Return the callbacks; health first: it decides before the update, the audit observes."""
        return [self.health, *([] if self.audit is None else [self.audit])]

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Resumable]:
        named: dict[str, Resumable | None] = {
            "history": self.history,
            "findings": self.findings,
            "interventions": self.interventions,
            "health": self.health,
            "audit": self.audit,
            "output": self.output,
        }
        return {name: part for name, part in named.items() if part is not None}

    @contextmanager
    def forward(self) -> Iterator[None]:
        """Watch a forward pass of training."""
        if self.audit is None:
            yield
            return
        with self.audit.watch_forward():
            yield

    def backward_done(self) -> None:
        """Record the gradients after all micro-batches of a step and before they are clipped."""
        self.sums.tensor_norms = gradient_norms(self.tensors)
        if self.audit is not None:
            self.audit.backward_done()

    def close(self) -> dict[str, Any]:
        """Check the frozen weights, write the summary, and return the health report.

        Call this after every training, also a failed one; `stop_where_pending` then acts on its
        findings.
        """
        if self.audit is not None:
            self.audit.finish()
        report = {
            "steps": len(self.history.steps),
            "skipped_steps": len(self.history.skipped),
            "findings": self.findings.as_list(),
        }
        if self.output is not None:
            num_rules = len(fields(AuditRules)) + len(fields(HealthRules))
            self.output.close(self.history.steps, report, num_rules)
        return report

    def stop_where_pending(self) -> None:
        """Raise HealthError if a finding at or after the last step stops the run."""
        for finding in self.findings.take_pending():
            if finding.action is Action.STOP:
                raise self.interventions.stopping(finding, "the rule's action is stop")


def open_monitor(training: MonitoredTraining, run: ResultFolder, tracker: Tracker) -> Monitor:
    """Return the monitor of a training; it writes to a run folder and its tracker."""
    sums, history, findings = StepSums(), History(), Findings()
    tensors = audited_tensors(training.model)
    interventions = Interventions(training.train.health, training.model, findings)
    monitor = Monitor(
        tensors=tensors,
        sums=sums,
        history=history,
        findings=findings,
        interventions=interventions,
        health=HealthCallback(training, interventions, findings, history, sums, tensors),
    )
    if training.audit.level is not AuditLevel.OFF:
        monitor.output = AuditOutput(
            run, marks_of(training), training.audit.picture_interval, tracker
        )
        monitor.audit = AuditCallback(training, findings, history, monitor.output)
    return monitor


def marks_of(training: MonitoredTraining) -> Marks:
    """Return the thresholds that the pictures show."""
    rules = training.train.health.rules
    return Marks(
        tiny=training.audit.assert_tiny,
        clip=training.optim.grad_clip or None,
        high=rules.gradient_norm_high.threshold,
        explosion=rules.gradient_explosion.threshold,
    )
