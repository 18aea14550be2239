"""The rules about activations, precision and answers of an audited step.

Their functions are in lmol/audit/step_rules.py.
"""

from __future__ import annotations

from lmol.config.choices import Action, Severity
from lmol.config.rule_list.record import Rule

STEP_RULES = (
    # A ReLU usually has half zeros; above this threshold almost no signal passes.
    Rule(
        name="dead_relu",
        means="share of zeros among a ReLU's outputs",
        threshold=0.95,
        share=True,
        advice="Lower the learning rate; check its inputs and the bias before it.",
    ),
    Rule(
        name="saturated_sigmoid",
        means="share of sigmoid outputs beyond .97 of their range",
        threshold=0.9,
        share=True,
        advice="Its inputs are too large: lower the learning rate, or normalise them.",
    ),
    Rule(
        name="saturated_tanh",
        means="share of tanh outputs beyond .97 of their range",
        threshold=0.9,
        share=True,
        advice="Its inputs are too large: lower the learning rate, or normalise them.",
    ),
    Rule(
        name="flat_gelu",
        means="share of inputs in the flat left tail of a GELU or SiLU",
        threshold=0.95,
        share=True,
        advice="Its inputs are too negative: lower the learning rate; check the bias before it.",
    ),
    # Pre-norm models learn with images well above the size of text, if more slowly (Li et al. 2025,
    # arXiv 2512.08374): 24 times in the built-in example. An order of magnitude beyond that,
    # one dominates the other.
    Rule(
        name="scale_mismatch",
        means="RMS of projected images, divided by that of text, or the inverse",
        threshold=300,
        advice=(
            "Images or text dominate attention: scale the projector's last layer, warm "
            "it up with a small optim.lr_lora, or start with model.projector=pretrained."
        ),
    ),
    # Half of the largest number: another batch may overflow.
    Rule(
        name="residual_overflow",
        means="largest activation, as a share of the largest number of its type",
        threshold=0.5,
        share=True,
        advice=(
            "Use bf16, which holds numbers up to 3e38, in train.precision and model.backbone.dtype."
        ),
    ),
    # Each head attends to only one position. Needs attention weights: audit=full, attention=eager.
    Rule(
        name="collapsed_attention",
        means="lowest attention entropy, as a share of the maximum",
        threshold=0.01,
        share=True,
        severity=Severity.INFO,
        advice="Lower optim.lr_lora; heads that copy one position have small gradients.",
    ),
    # The scaler tries its first scales and, every 2,000 steps, a larger one; a few steps are lost.
    Rule(
        name="skipped_steps",
        means="share of steps lost to fp16 overflow since the last audit",
        threshold=0.2,
        share=True,
        advice=(
            "Overflowing steps are lost: use train.precision=bf16, or lower the learning rates so"
            " that gradients fit."
        ),
    ),
    # After the warm-up, for labels with at least this share.
    Rule(
        name="dead_answer",
        means="share of a label whose answer is never given",
        threshold=0.05,
        share=True,
        advice=(
            "The model never gives this answer: raise train.loss.w_similar, and check the labels "
            "in pairs/ and the tokens of the answers."
        ),
    ),
    Rule(
        name="contradictory_orders",
        means="share of pairs whose two orders have contradictory labels",
        threshold=0,
        share=True,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice="The swapped order must have the swapped label: check the collator.",
    ),
)
