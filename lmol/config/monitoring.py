"""The nodes of the typed tree for audit and health.

A rule's name is its key. Its defaults, with the reasons, are in lmol.config.rule_list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import Field

from lmol.config.choices import Action, AuditLevel, Severity
from lmol.config.fields import Count, NonNegative, ProperShare, Share, node
from lmol.config.rule_list import AUDIT_RULES, HEALTH_RULES, Rule


@node
class RuleConfig:
    """Settings of one rule: its threshold, the severity of a finding, and the action."""

    threshold: Annotated[NonNegative, Field(description="value from which there is a finding")]
    severity: Annotated[Severity, Field(description="severity of a finding")]
    action: Annotated[Action, Field(description="action that a finding causes")]


@node
class ShareRuleConfig(RuleConfig):
    """A rule whose threshold is a share."""

    threshold: Annotated[Share, Field(description="share from which there is a finding")]


def _rules(name: str, rules: tuple[Rule, ...]) -> Any:
    """Return a node of the typed tree with a field for each rule."""
    fields = {
        rule.name: Annotated[
            ShareRuleConfig if rule.share else RuleConfig, Field(description=rule.means)
        ]
        for rule in rules
    }
    return node(type(name, (), {"__annotations__": fields, "__module__": __name__}))


if TYPE_CHECKING:
    AuditRules: TypeAlias = Any
    HealthRules: TypeAlias = Any
else:
    AuditRules = _rules("AuditRules", AUDIT_RULES)
    HealthRules = _rules("HealthRules", HEALTH_RULES)


@node
class AuditConfig:
    """Audit of gradients, activations, updates, precision and memory of single steps."""

    level: Annotated[AuditLevel, Field(description="how much is audited")]
    interval: Annotated[
        Count,
        Field(description="optimizer steps between audits; the first two and the last are added"),
    ]
    picture_interval: Annotated[
        Count, Field(description="optimizer steps between pictures, at audited steps")
    ]
    assert_tiny: Annotated[
        NonNegative, Field(description="gradient norm of a tensor up to which it counts as zero")
    ]
    steps: Annotated[Count, Field(description="steps of task=audit, each of them audited")]
    rules: Annotated[AuditRules, Field(description="settings of each rule")]


@node
class HealthConfig:
    """Checks of the training signals, with or without an audit."""

    window: Annotated[int, Field(ge=16, description="number of steps of medians and shares")]
    limit: Annotated[
        Count, Field(description="maximum number of interventions; the next failure stops the run")
    ]
    lr_factor: Annotated[
        ProperShare, Field(description="factor of the learning rates in lower_lr and rollback")
    ]
    rules: Annotated[HealthRules, Field(description="settings of each rule")]
