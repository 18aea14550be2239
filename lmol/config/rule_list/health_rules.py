"""The rules about every training step and every validation.

Their functions are in lmol/audit/health_rules.py.
"""

from __future__ import annotations

from lmol.config.choices import Action, Severity
from lmol.config.rule_list.record import Rule

HEALTH_RULES = (
    # Such a step is never taken, whatever the action. It means broken data or divergence,
    # and more will follow.
    Rule(
        name="non_finite_loss",
        means="micro-batches of a NaN or Inf loss",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice=(
            "Lower the learning rates, set optim.grad_clip, or train in bf16; where images are "
            "named, take them out."
        ),
    ),
    Rule(
        name="non_finite_gradient",
        means="steps of a NaN or Inf gradient",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice="Lower the learning rates, set optim.grad_clip, or train in bf16.",
    ),
    # Of the last five losses' median; single batches scatter, and are no divergence. In units of
    # the window's scatter: healthy runs stay below 6.
    Rule(
        name="loss_spike",
        means="robust z-score of the last losses within the window",
        threshold=20,
        severity=Severity.ERROR,
        action=Action.ROLLBACK,
        advice="Lower the learning rates or lengthen optim.warmup_ratio.",
    ),
    # A comparison that is never wrong is most often one whose answer is given away.
    Rule(
        name="loss_too_small",
        means="least median loss, in nats",
        threshold=0.001,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice=(
            "See whether the answer, or a hint of it, is in the input, and whether pairs repeat."
        ),
    ),
    # The original recipe's own marks. Clipping keeps the step in bounds, not its direction.
    Rule(
        name="gradient_norm_high",
        means="median gradient norm",
        threshold=30,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice=(
            "Lower the learning rates or lengthen optim.warmup_ratio; raise the threshold where "
            "training goes well all the same."
        ),
    ),
    # Only where it is also ten times its window's median; one such batch is better left out.
    Rule(
        name="gradient_explosion",
        means="gradient norm of a step that stands out of its window",
        threshold=200,
        severity=Severity.WARNING,
        action=Action.SKIP_STEP,
        advice="Look at the pairs of that step; lower the learning rates if it returns.",
    ),
    # Points of accuracy that half of the training must have gained.
    Rule(
        name="stalled_accuracy",
        means="least gain of training accuracy over the commonest label",
        threshold=0.05,
        share=True,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice=(
            "Raise the learning rates tenfold; see that labels follow the images, and that "
            "features tell images apart."
        ),
    ),
    # Share of the answers, once the warm-up is over.
    Rule(
        name="one_class_collapse",
        means="share of the most common answer in the window",
        threshold=0.98,
        share=True,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice="Lower the learning rates; see how labels are distributed and weighed.",
    ),
    # Another process on the machine can do that too.
    Rule(
        name="throughput_drop",
        means="seconds a step by those at the start",
        threshold=3,
        severity=Severity.INFO,
        action=Action.LOG,
        advice="See what else runs on the machine, its temperature, and its memory.",
    ),
    Rule(
        name="chance_validation",
        means="least gain of validation accuracy over the commonest label",
        threshold=0.05,
        share=True,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice=(
            "What is learnt does not carry over: see that scores belong to their images, add "
            "images, or train for a shorter time."
        ),
    ),
    # At three validations in a row, while training accuracy still rises.
    Rule(
        name="overfitting",
        means="fall of validation accuracy while training improves",
        threshold=0.03,
        share=True,
        severity=Severity.WARNING,
        action=Action.LOG,
        advice=(
            "Set train.early_stopping, train for fewer epochs, or add images, LoRA dropout or "
            "weight decay."
        ),
    ),
    # Likewise three in a row. Common late in a training that still gains accuracy: worth knowing.
    Rule(
        name="rising_validation_loss",
        means="rise of validation's cross-entropy, by its least",
        threshold=0.1,
        share=True,
        severity=Severity.INFO,
        action=Action.LOG,
        advice=(
            "Answers grow surer than they are right, though accuracy may still gain: use the "
            "calibrated temperature of metrics.json where probabilities matter; otherwise as for "
            "overfitting."
        ),
    ),
)
