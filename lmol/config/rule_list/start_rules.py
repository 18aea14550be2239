"""The rules about the model and the training pairs, before the first step and after the last.

Their functions are in lmol/audit/start_rules.py.
"""

from __future__ import annotations

from lmol.config.choices import Action, Severity
from lmol.config.rule_list.record import Rule

START_RULES = (
    Rule(
        name="frozen_adapter",
        means="adapter tensors kept from training",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice="Something called requires_grad_(False) after the adapters were put on.",
    ),
    Rule(
        name="misplaced_adapter",
        means="adapters outside the language model",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice=(
            "Give model.lora.targets full paths of the language model, such as "
            ".*language_model\\..*\\.(q|k|v|o)_proj."
        ),
    ),
    Rule(
        name="one_class_data",
        means="share of the most common label since the last audit",
        threshold=0.95,
        share=True,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice=(
            "There is next to nothing to tell apart: see data.theta, the scores, and data.schedule."
        ),
    ),
    Rule(
        name="contradictory_labels",
        means="training pairs whose label is not that of the scores",
        threshold=0,
        share=True,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice=(
            "These pairs teach what the scores deny: prepare them again, and see who wrote the "
            "column label."
        ),
    ),
)

END_RULES = (
    Rule(
        name="frozen_weights_changed",
        means="frozen tensors that are not what they were at the start",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice=(
            "Something writes into the base: an optimizer with all parameters, a merge in place, "
            "or broken memory. The checkpoint does not fit its base any more."
        ),
    ),
)
