"""The rules about activations, precision and answers of an audited step.

Their functions are in lmol/audit/step_rules.py.
"""

from __future__ import annotations

from lmol.config.choices import Action, Severity
from lmol.config.rule_list.record import Rule

STEP_RULES = (
    # Half of all is usual for a ReLU; beyond these, hardly anything passes.
    Rule(
        name="dead_relu",
        means="zeros among a ReLU's outputs",
        threshold=0.95,
        share=True,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice="Lower the learning rate; look at the bias before it and at its inputs.",
    ),
    Rule(
        name="saturated_sigmoid",
        means="sigmoid outputs beyond .97 of their range",
        threshold=0.9,
        share=True,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice="Its inputs are too large: lower the learning rate, or normalise them.",
    ),
    Rule(
        name="saturated_tanh",
        means="tanh outputs beyond .97 of their range",
        threshold=0.9,
        share=True,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice="Its inputs are too large: lower the learning rate, or normalise them.",
    ),
    Rule(
        name="flat_gelu",
        means="inputs in the flat left tail of a GELU or SiLU",
        threshold=0.95,
        share=True,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice=(
            "Its inputs have drifted to the left: lower the learning rate; look at the bias "
            "before it."
        ),
    ),
    # Pre-norm models learn with images well above the size of text, if more slowly (Li et al. 2025,
    # arXiv 2512.08374): 24 times in the embedded default. An order of magnitude beyond that, one
    # drowns the other.
    Rule(
        name="scale_mismatch",
        means="size of projected images by that of text, or the inverse",
        threshold=300,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice=(
            "Images or text drown the other in attention: scale the projector's last layer, warm "
            "it up alone with a small optim.lr_lora, or start with model.projector=pretrained."
        ),
    ),
    # Half of what the type can hold: a batch from overflowing.
    Rule(
        name="residual_overflow",
        means="largest activation by the largest number it can hold",
        threshold=0.5,
        share=True,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice=(
            "Use bf16, which holds numbers up to 3e38, in train.precision and model.backbone.dtype."
        ),
    ),
    # Every head looks at one position alone. Needs attention weights: audit=full, attention=eager.
    Rule(
        name="collapsed_attention",
        means="least attention entropy, as a share of the largest",
        threshold=0.01,
        share=True,
        severity=Severity.INFO,
        action=Action.LOG,
        advice="Lower optim.lr_lora; heads that copy one position pass back little.",
    ),
    # The scaler tries its first scales out, and a larger one every 2,000 steps; that costs a few.
    Rule(
        name="skipped_steps",
        means="steps that fp16 overflow cost since the last audit",
        threshold=0.2,
        share=True,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice=(
            "Overflowing steps are lost: use train.precision=bf16, or lower the learning rates so"
            " that gradients fit."
        ),
    ),
    # Once the warm-up is over, of labels that make up at least so much.
    Rule(
        name="dead_answer",
        means="share of a label whose answer is never given",
        threshold=0.05,
        share=True,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice=(
            "The model never says it: raise train.loss.w_similar, see how labels are distributed "
            "in pairs/, and look at the answers' tokens."
        ),
    ),
    Rule(
        name="contradictory_orders",
        means="pairs whose two orders have labels that disagree",
        threshold=0,
        share=True,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice="The swapped order must have the swapped label: see the collator.",
    ),
)
