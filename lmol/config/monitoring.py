"""The nodes of the typed tree for audit and health.

A rule's name is its key. Its defaults are in lmol.config.rule_list, with the reason beside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import Field

from lmol.config.choices import Action, AuditLevel, Severity
from lmol.config.fields import Count, NonNegative, ProperShare, Share, node
from lmol.config.rule_list import AUDIT_RULES, HEALTH_RULES, Rule


@node
class RuleConfig:
    """One rule: from where on it speaks, how grave that is, and what is done about it."""

    threshold: Annotated[NonNegative, Field(description="where the rule begins to speak")]
    severity: Annotated[Severity, Field(description="how grave a finding is")]
    action: Annotated[Action, Field(description="what is done about a finding")]


@node
class ShareRuleConfig(RuleConfig):
    """A rule whose threshold is a share."""

    threshold: Annotated[Share, Field(description="share where the rule begins to speak")]


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
    """Gradients, activations, updates, precision and memory of single steps."""

    level: Annotated[AuditLevel, Field(description="how much is audited")]
    interval: Annotated[
        Count,
        Field(description="optimizer steps between audits, beside the first two and the last"),
    ]
    picture_interval: Annotated[
        Count, Field(description="optimizer steps between pictures, at audited steps")
    ]
    assert_tiny: Annotated[
        NonNegative, Field(description="gradient norm of a tensor up to which it counts as zero")
    ]
    steps: Annotated[Count, Field(description="steps of task=audit, each of them audited")]
    rules: Annotated[AuditRules, Field(description="what is looked for")]


@node
class HealthConfig:
    """Watches the training itself, audited or not."""

    window: Annotated[int, Field(ge=16, description="steps that medians and shares are taken over")]
    limit: Annotated[
        Count, Field(description="helping a run so often, it is stopped when it fails again")
    ]
    lr_factor: Annotated[
        ProperShare, Field(description="what lower_lr and rollback multiply learning rates by")
    ]
    rules: Annotated[HealthRules, Field(description="what is looked for")]
