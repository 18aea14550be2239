"""The rules about gradients and updates of single tensors.

Their functions are in lmol/audit/tensor_rules.py.
"""

from __future__ import annotations

from lmol.config.choices import Action, Severity
from lmol.config.rule_list.record import Rule

TENSOR_RULES = (
    # How many tensors may be so: none. A step without them is wasted, and so is a night of steps.
    Rule(
        name="missing_gradient",
        means="trained tensors with no gradient",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice=(
            "The tensor takes no part in the loss: look for a detach, a no_grad or a branch that "
            "is not computed between it and the answer."
        ),
    ),
    # lora_A is excused as long as its lora_B is next to zero, as it is at the first steps.
    Rule(
        name="zero_gradient",
        means="trained tensors with a gradient norm up to assert_tiny",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice=(
            "What follows passes nothing back: look for a saturated activation, a zero weight, or"
            " a loss that does not depend on it."
        ),
    ),
    # Health acts on them at every step; this rule names the tensors.
    Rule(
        name="broken_gradient",
        means="NaN or infinite gradient elements",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.LOG,
        advice=(
            "See the first table in which it stands; lower the learning rates, or train in bf16 "
            "instead of fp16."
        ),
    ),
    # Healthy runs of 2 to 32 layers stay within a factor of 30; normalised residual layers pass
    # gradients on nearly unchanged.
    Rule(
        name="vanishing_depth",
        means="gradient norm of the last layers by that of the first",
        threshold=1000,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice=(
            "Early layers learn next to nothing: look at the layer where the gradient falls off, "
            "and at the residual stream there (activation table)."
        ),
    ),
    Rule(
        name="exploding_depth",
        means="gradient norm of the first layers by that of the last",
        threshold=1000,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice=(
            "Early layers are pushed far more than late ones: set optim.grad_clip, and look at "
            "the residual stream's growth in the activation table."
        ),
    ),
    # Gradients are clipped by their common norm: beyond this, LoRA is left 1 % of it.
    Rule(
        name="projector_dominates",
        means="the projector's gradient norm by that of LoRA",
        threshold=100,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice=(
            "Clipping by the common norm leaves LoRA almost nothing: lower optim.lr_projector, "
            "lengthen optim.warmup_ratio, or start with model.projector=pretrained."
        ),
    ),
    Rule(
        name="unmoved_weights",
        means="trained tensors left as they were",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice="See that the optimizer has these very tensors, not older copies.",
    ),
    # May be meant, as when the projector alone is trained.
    Rule(
        name="zero_learning_rate",
        means="trained tensors with a learning rate of 0",
        threshold=0,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice=(
            "Raise optim.lr_lora or optim.lr_projector, unless this is meant; see that the "
            "optimizer has the tensors."
        ),
    ),
    # Rounded away: the learning rate is below the precision of the weights.
    Rule(
        name="lost_updates",
        means="elements with a gradient that the step did not change",
        threshold=0.5,
        share=True,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice=(
            "Steps are smaller than the weights can resolve: raise the learning rate, or keep "
            "trained weights in fp32."
        ),
    ),
    # A step that rewrites half of a tensor undoes what was learnt. The default's largest is a
    # tenth.
    Rule(
        name="large_updates",
        means="size of a step by the size of the weights it changes",
        threshold=0.5,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice="Lower the learning rate of that group tenfold; lengthen optim.warmup_ratio.",
    ),
)
