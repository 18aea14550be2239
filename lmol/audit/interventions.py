"""Interventions for a finding: skip the step, lower the learning rate, roll back, or stop."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lmol.audit.findings import Finding, Findings
from lmol.config.rule_list import ADVICE
from lmol.config.schema import Action, HealthConfig
from lmol.errors import HealthError
from lmol.system.signals import held

log = logging.getLogger(__name__)

NON_FINITE = ("non_finite_loss", "non_finite_gradient")
"""Rules about steps that cannot be taken."""


@dataclass(eq=False)
class LastGood:
    """Trained tensors and optimizer state of a step without findings, in host memory."""

    step: int = 0
    epoch: float = 0.0
    weights: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)

    def take(self, model: nn.Module, optimizer: Optimizer, step: int, epoch: float) -> bool:
        """Save the present state; return False, without saving, if a number is not finite."""
        weights = {name: p.detach().cpu().clone() for name, p in _trained(model)}
        if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
            return False
        self.weights, self.step, self.epoch = weights, step, epoch
        self.optimizer = _on_host(optimizer.state_dict())
        return True

    def restore(self, model: nn.Module, optimizer: Optimizer | None = None) -> None:
        """Restore the weights and the optimizer's moments; learning rates stay as they are."""
        with held(), torch.no_grad():
            for name, parameter in _trained(model):
                parameter.copy_(self.weights[name])
            if optimizer is not None:
                groups = [dict(group) for group in optimizer.state_dict()["param_groups"]]
                optimizer.load_state_dict({**_on_host(self.optimizer), "param_groups": groups})

    def state_dict(self) -> dict[str, Any]:
        moments = {str(number): one for number, one in self.optimizer.get("state", {}).items()}
        position = {"step": self.step, "epoch": self.epoch}
        return {**position, "weights": self.weights, "optimizer": moments}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.step, self.epoch, self.weights = state["step"], state["epoch"], state["weights"]
        self.optimizer = {"state": {int(n): one for n, one in state["optimizer"].items()}}


def _trained(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]


def _on_host(state: Any) -> Any:
    """Return a copy of nested state whose tensors are in host memory."""
    if isinstance(state, Tensor):
        return state.detach().cpu().clone()
    if isinstance(state, dict):
        return {key: _on_host(value) for key, value in state.items()}
    return [_on_host(value) for value in state] if isinstance(state, list) else state


class Interventions:
    """Interventions for findings, and their number. Raises HealthError to stop the run."""

    def __init__(self, config: HealthConfig, model: nn.Module, findings: Findings) -> None:
        self._config, self._model, self._findings = config, model, findings
        self.last_good = LastGood()
        self._num_interventions = 0
        self._skipped_in_a_row = 0

    def state_dict(self) -> dict[str, Any]:
        counts = {"interventions": self._num_interventions, "skipped": self._skipped_in_a_row}
        return {**counts, "last_good": self.last_good.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._num_interventions, self._skipped_in_a_row = state["interventions"], state["skipped"]
        self.last_good.load_state_dict(state["last_good"])

    def keep(self, optimizer: Optimizer, step: int, epoch: float) -> None:
        """Save the present state as the last good one."""
        self.last_good.take(self._model, optimizer, step, epoch)

    def step_was_taken(self) -> None:
        """Reset the count of steps skipped in a row, because a step was taken."""
        self._skipped_in_a_row = 0

    def act(self, finding: Finding, optimizer: Any, scheduler: Any) -> bool:
        """Intervene or stop the run; return True if the present gradients must be dropped."""
        if finding.action is Action.STOP:
            raise self.stopping(finding, "the rule's action is stop")
        if finding.action is Action.SKIP_STEP:
            return self._skip(finding)
        self._num_interventions += 1
        if self._num_interventions > self._config.limit:
            raise self.stopping(finding, f"after {self._config.limit} interventions")
        rolled_back = finding.action is Action.ROLLBACK
        if rolled_back:
            self.last_good.restore(self._model, optimizer)
        _lower(optimizer, scheduler, self._config.lr_factor)
        back = f"rolled back to step {self.last_good.step}, " if rolled_back else ""
        self._done(finding, f"{back}learning rates times {self._config.lr_factor:g}")
        return rolled_back

    def _skip(self, finding: Finding) -> bool:
        """Skip the step; after `limit` skips in a row, take it, or raise if it is not finite."""
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row <= self._config.limit:
            self._done(finding, "skipped the step")
            return True
        if finding.rule in NON_FINITE:
            raise self.stopping(finding, f"{self._config.limit} steps in a row were skipped")
        self._done(finding, "took the step, because such steps are no longer an exception")
        return False

    def stopping(self, finding: Finding, why: str) -> HealthError:
        """Record that this finding ends the run, and return the error to raise."""
        self._findings.acted(finding.rule, f"step {finding.step}: stopped the run")
        return HealthError(
            f"training step {finding.step}, rule {finding.rule}",
            got=f"a finding: {finding.sentence}",
            expected=f"a run that learns ({why})",
            remedy=ADVICE[finding.rule],
        )

    def _done(self, finding: Finding, what: str) -> None:
        self._findings.acted(finding.rule, f"step {finding.step}: {what}")
        log.warning("%s, step %d: %s", finding.rule, finding.step, what)


def _lower(optimizer: Any, scheduler: Any, factor: float) -> None:
    """Multiply present and peak learning rates; the schedule continues from there."""
    scheduler.base_lrs = [rate * factor for rate in scheduler.base_lrs]
    for group in optimizer.param_groups:
        group["lr"] *= factor
        group["initial_lr"] *= factor
