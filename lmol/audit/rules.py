"""All rules of the audit by name, and the functions that apply them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pandas as pd
from torch import nn

from lmol.audit import start_rules, step_rules, tensor_rules
from lmol.audit.findings import Finding, finding_of
from lmol.audit.record import AuditRecord
from lmol.audit.tensor_rules import Told
from lmol.config import rule_list as records
from lmol.config.schema import AuditRules
from lmol.model.names import short_name

StepRule = Callable[[AuditRecord, float], Iterator[Told]]

STEP_RULES: dict[str, StepRule] = {
    **{rule.name: getattr(tensor_rules, rule.name) for rule in records.TENSOR_RULES},
    **{rule.name: getattr(step_rules, rule.name) for rule in records.STEP_RULES},
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
    """Yield the findings about an audited step."""
    for name, rule in STEP_RULES.items():
        config = getattr(rules, name)
        yield from _findings(name, rules, record.step, rule(record, config.threshold))


def of_model(model: nn.Module, rules: AuditRules) -> Iterator[Finding]:
    """Yield the findings about the model before training."""
    for name, rule in MODEL_RULES.items():
        yield from _findings(name, rules, 0, rule(model, getattr(rules, name).threshold))


def of_pairs(pairs: pd.DataFrame, theta: float, rules: AuditRules) -> Iterator[Finding]:
    """Yield the findings about the training pairs. theta: in points of the score."""
    for name, rule in PAIR_RULES.items():
        yield from _findings(name, rules, 0, rule(pairs, theta, getattr(rules, name).threshold))


def of_frozen(changed: list[str], step: int, rules: AuditRules) -> Iterator[Finding]:
    """Yield the findings from the comparison of frozen weights with those at the start."""
    if len(changed) > getattr(rules, FROZEN).threshold:
        told = f"{len(changed)} frozen tensors are not what they were at the start"
        yield from _findings(FROZEN, rules, step, [(told, tuple(map(short_name, changed)))])


def _findings(name: str, rules: AuditRules, step: int, told: Iterable[Told]) -> Iterator[Finding]:
    config: Any = getattr(rules, name)
    for what, places in told:
        yield finding_of(name, config, step, what, places)
