"""All rules of the audit by name, and the functions that apply them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from lmol.audit import start_rules, step_rules, tensor_rules
from lmol.audit.findings import Finding, finding_of
from lmol.audit.monitored import MonitoredTraining
from lmol.audit.record import AuditRecord
from lmol.audit.tensor_rules import Observation
from lmol.config import rule_list as records
from lmol.config.schema import AuditRules
from lmol.model.names import short_name

StepRule = Callable[[AuditRecord, float], Iterator[Observation]]
StartRule = Callable[[MonitoredTraining, float], Iterator[Observation]]

STEP_RULES: dict[str, StepRule] = {
    **{rule.name: getattr(tensor_rules, rule.name) for rule in records.TENSOR_RULES},
    **{rule.name: getattr(step_rules, rule.name) for rule in records.STEP_RULES},
}
START_RULES: dict[str, StartRule] = {
    rule.name: getattr(start_rules, rule.name) for rule in records.START_RULES
}
FROZEN = "frozen_weights_changed"


def of_step(record: AuditRecord, rules: AuditRules) -> Iterator[Finding]:
    """Yield the findings about an audited step."""
    for name, rule in STEP_RULES.items():
        config = getattr(rules, name)
        yield from _findings(name, rules, record.step, rule(record, config.threshold))


def of_start(training: MonitoredTraining) -> Iterator[Finding]:
    """Yield the findings about the model and the training pairs, before the first step."""
    rules = training.audit.rules
    for name, rule in START_RULES.items():
        yield from _findings(name, rules, 0, rule(training, getattr(rules, name).threshold))


def of_frozen(changed: list[str], step: int, rules: AuditRules) -> Iterator[Finding]:
    """Yield the findings from the comparison of frozen weights with those at the start."""
    if len(changed) > getattr(rules, FROZEN).threshold:
        message = f"{len(changed)} frozen tensors have changed since the start"
        yield from _findings(FROZEN, rules, step, [(message, tuple(map(short_name, changed)))])


def _findings(
    name: str, rules: AuditRules, step: int, observations: Iterable[Observation]
) -> Iterator[Finding]:
    config: Any = getattr(rules, name)
    for what, places in observations:
        yield finding_of(name, config, step, what, places)
