"""The rules about the model and the training pairs, before the first step and after the last.

Their functions are in lmol/audit/start_rules.py.
"""

from __future__ import annotations

from lmol.config.choices import Action, Severity
from lmol.config.rule_list.record import Rule

START_RULES = (
    Rule(
        name="frozen_adapter",
        means="number of frozen adapter tensors",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice="Find the call of requires_grad_(False) after the adapters were added.",
    ),
    Rule(
        name="misplaced_adapter",
        means="number of adapter tensors outside the language model",
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
        advice="Nearly all pairs have one answer: check data.theta, the scores and data.schedule.",
    ),
    Rule(
        name="contradictory_labels",
        means="share of training pairs whose label contradicts the scores",
        threshold=0,
        share=True,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice="Prepare the pairs again, and check which program wrote the column label.",
    ),
)

END_RULES = (
    Rule(
        name="frozen_weights_changed",
        means="number of frozen tensors that have changed since the start",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice=(
            "Find what changes the base: an optimizer with all parameters, a merge in place, or "
            "broken memory. The checkpoint no longer fits its base."
        ),
    ),
)
