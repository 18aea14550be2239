"""The rules about gradients and updates of single tensors.

Their functions are in lmol/audit/tensor_rules.py.
"""

from __future__ import annotations

from lmol.config.choices import Action, Severity
from lmol.config.rule_list.record import Rule

TENSOR_RULES = (
    # No tensor may lack a gradient: training would waste all of its steps.
    Rule(
        name="missing_gradient",
        means="number of trained tensors without a gradient",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice=(
            "The loss does not depend on the tensor: look for a detach, a no_grad or an unused "
            "branch between it and the answer."
        ),
    ),
    # A lora_A is excluded while its lora_B is almost zero, as it is at the first steps.
    Rule(
        name="zero_gradient",
        means="number of trained tensors with a gradient norm up to assert_tiny",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice=(
            "No gradient reaches the tensor: look for a saturated activation, a zero weight, or a "
            "loss that does not depend on it."
        ),
    ),
    # Health acts on them at every step; this rule names the tensors.
    Rule(
        name="broken_gradient",
        means="number of NaN or infinite gradient elements",
        threshold=0,
        severity=Severity.ERROR,
        advice=(
            "Check the first gradient table that lists it; lower the learning rates, or train in "
            "bf16 instead of fp16."
        ),
    ),
    # Healthy runs of 2 to 32 layers stay within a factor of 30; normalised residual layers pass
    # gradients on nearly unchanged.
    Rule(
        name="vanishing_depth",
        means="gradient norm of the last layers, divided by that of the first",
        threshold=1000,
        advice=(
            "Early layers learn almost nothing: check the layer where the gradient becomes small, "
            "and the residual stream there (activation table)."
        ),
    ),
    Rule(
        name="exploding_depth",
        means="gradient norm of the first layers, divided by that of the last",
        threshold=1000,
        advice=(
            "Early layers change far more than late ones: set optim.grad_clip, and check how the "
            "residual stream grows (activation table)."
        ),
    ),
    # Gradients are clipped by their common norm: above this threshold LoRA has 1 % of it.
    Rule(
        name="projector_dominates",
        means="gradient norm of the projector, divided by that of LoRA",
        threshold=100,
        advice=(
            "Clipping by the common norm leaves LoRA almost nothing: lower optim.lr_projector, "
            "lengthen optim.warmup_ratio, or start with model.projector=pretrained."
        ),
    ),
    Rule(
        name="unmoved_weights",
        means="number of trained tensors that a step did not change",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice="Check that the optimizer has these tensors, and not older copies.",
    ),
    # It may be intended, for example to train only the projector.
    Rule(
        name="zero_learning_rate",
        means="number of trained tensors with a learning rate of 0",
        threshold=0,
        advice=(
            "Raise optim.lr_lora or optim.lr_projector, unless this is intended; check that the "
            "optimizer has the tensors."
        ),
    ),
    # Rounded away: the learning rate is below the precision of the weights.
    Rule(
        name="lost_updates",
        means="share of elements with a gradient that the step did not change",
        threshold=0.5,
        share=True,
        advice=(
            "Steps are smaller than the precision of the weights: raise the learning rate, or "
            "keep trained weights in fp32."
        ),
    ),
    # A step of half of a tensor's size destroys what was learnt; the default recipe's largest is a
    # tenth.
    Rule(
        name="large_updates",
        means="size of a step, divided by the size of the weights",
        threshold=0.5,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice="Lower the learning rate of that group tenfold; lengthen optim.warmup_ratio.",
    ),
)
