"""All rules of the audit by name, and how they are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pandas as pd
from torch import nn

from lmol.audit import start_rules, step_rules, tensor_rules
from lmol.audit.findings import Finding, finding_of
from lmol.audit.record import AuditRecord
from lmol.audit.tensor_rules import Told
from lmol.config.schema import AuditRules
from lmol.model.names import short_name

StepRule = Callable[[AuditRecord, float], Iterator[Told]]

STEP_RULES: dict[str, StepRule] = {
    "missing_gradient": tensor_rules.missing_gradient,
    "zero_gradient": tensor_rules.zero_gradient,
    "broken_gradient": tensor_rules.broken_gradient,
    "vanishing_depth": tensor_rules.vanishing_depth,
    "exploding_depth": tensor_rules.exploding_depth,
    "projector_dominates": tensor_rules.projector_dominates,
    "unmoved_weights": tensor_rules.unmoved_weights,
    "zero_learning_rate": tensor_rules.zero_learning_rate,
    "lost_updates": tensor_rules.lost_updates,
    "large_updates": tensor_rules.large_updates,
    "dead_relu": step_rules.dead_relu,
    "saturated_sigmoid": step_rules.saturated_sigmoid,
    "saturated_tanh": step_rules.saturated_tanh,
    "flat_gelu": step_rules.flat_gelu,
    "scale_mismatch": step_rules.scale_mismatch,
    "residual_overflow": step_rules.residual_overflow,
    "collapsed_attention": step_rules.collapsed_attention,
    "skipped_steps": step_rules.skipped_steps,
    "dead_answer": step_rules.dead_answer,
    "contradictory_orders": step_rules.contradictory_orders,
}
MODEL_RULES = {
    "frozen_adapter": start_rules.frozen_adapter,
    "misplaced_adapter": start_rules.misplaced_adapter,
}
PAIR_RULES = {
    "one_class_data": start_rules.one_class_data,
    "contradictory_labels": start_rules.contradictory_labels,
}
FROZEN = "frozen_weights_changed"


def of_step(record: AuditRecord, rules: AuditRules) -> Iterator[Finding]:
    """What an audited step shows."""
    for name, rule in STEP_RULES.items():
        config = getattr(rules, name)
        yield from _findings(name, rules, record.step, rule(record, config.threshold))


def of_model(model: nn.Module, rules: AuditRules) -> Iterator[Finding]:
    """What the model shows before it is trained."""
    for name, rule in MODEL_RULES.items():
        yield from _findings(name, rules, 0, rule(model, getattr(rules, name).threshold))


def of_pairs(pairs: pd.DataFrame, theta: float, rules: AuditRules) -> Iterator[Finding]:
    """What the training pairs show. theta: in points of the score."""
    for name, rule in PAIR_RULES.items():
        yield from _findings(name, rules, 0, rule(pairs, theta, getattr(rules, name).threshold))


def of_frozen(changed: list[str], step: int, rules: AuditRules) -> Iterator[Finding]:
    """What the comparison of frozen weights with those at the start shows."""
    if len(changed) > getattr(rules, FROZEN).threshold:
        told = f"{len(changed)} frozen tensors are not what they were at the start"
        yield from _findings(FROZEN, rules, step, [(told, tuple(map(short_name, changed)))])


def _findings(name: str, rules: AuditRules, step: int, told: Iterable[Told]) -> Iterator[Finding]:
    config: Any = getattr(rules, name)
    for what, places in told:
        yield finding_of(name, config, step, what, places)
