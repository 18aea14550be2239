"""All rules of audit and health: one record each, with defaults and advice.

To add a rule: its record here, its function under the same name in lmol.audit, and a test with a
planted fault. Set a value as in audit.rules.dead_relu.threshold=0.9.
"""

from __future__ import annotations

from lmol.config.rule_list.health_rules import HEALTH_RULES as HEALTH_RULES
from lmol.config.rule_list.record import Rule as Rule
from lmol.config.rule_list.start_rules import END_RULES
from lmol.config.rule_list.start_rules import START_RULES as START_RULES
from lmol.config.rule_list.step_rules import STEP_RULES as STEP_RULES
from lmol.config.rule_list.tensor_rules import TENSOR_RULES as TENSOR_RULES

AUDIT_RULES = (*TENSOR_RULES, *START_RULES, *STEP_RULES, *END_RULES)

ADVICE = {rule.name: rule.advice for rule in (*AUDIT_RULES, *HEALTH_RULES)}
