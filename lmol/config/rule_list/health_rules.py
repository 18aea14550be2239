"""The rules about every training step and every validation.

Their functions are in lmol/audit/health_rules.py.
"""

from __future__ import annotations

from lmol.config.choices import Action, Severity
from lmol.config.rule_list.record import Rule

HEALTH_RULES = (
    # Such a step is never taken, with any action. It means broken data or divergence, and more
    # such steps will follow.
    Rule(
        name="non_finite_loss",
        means="number of steps with a NaN or Inf loss",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice=(
            "Lower the learning rates, set optim.grad_clip, or train in bf16; if images are "
            "named, remove them."
        ),
    ),
    Rule(
        name="non_finite_gradient",
        means="number of steps with a NaN or Inf gradient",
        threshold=0,
        severity=Severity.ERROR,
        action=Action.STOP,
        advice="Lower the learning rates, set optim.grad_clip, or train in bf16.",
    ),
    # The median of the last five losses is compared, because single batches scatter without
    # divergence. In units of the window's scatter, healthy runs stay below 6.
    Rule(
        name="loss_spike",
        means="robust z-score of the last losses within the window",
        threshold=20,
        severity=Severity.ERROR,
        action=Action.ROLLBACK,
        advice="Lower the learning rates or lengthen optim.warmup_ratio.",
    ),
    # If the model is never wrong, the input usually contains the answer.
    Rule(
        name="loss_too_small",
        means="median cross-entropy below which a loss is too small, in nats",
        threshold=0.001,
        advice="Check whether the input contains the answer or a hint, and whether pairs repeat.",
    ),
    # Thresholds of the original recipe. Clipping limits a step's length but not its direction.
    Rule(
        name="gradient_norm_high",
        means="median gradient norm",
        threshold=30,
        advice=(
            "Lower the learning rates or lengthen optim.warmup_ratio; raise the threshold if "
            "training goes well."
        ),
    ),
    # Only if it is also ten times its window's median; it is better to skip one such batch.
    Rule(
        name="gradient_explosion",
        means="gradient norm of a step that is far above its window",
        threshold=200,
        action=Action.SKIP_STEP,
        advice="Check the pairs of that step; lower the learning rates if it happens again.",
    ),
    # Points of accuracy that half of the training must have gained.
    Rule(
        name="stalled_accuracy",
        means="least gain of training accuracy over the commonest label",
        threshold=0.05,
        share=True,
        advice=(
            "Raise the learning rates tenfold; check that labels depend on the images, and that "
            "features differ between images."
        ),
    ),
    # Share of the answers after the warm-up.
    Rule(
        name="one_class_collapse",
        means="share of the most common answer in the window",
        threshold=0.98,
        share=True,
        advice="Lower the learning rates; check the distribution of labels and the class weights.",
    ),
    # Another process on the machine can also cause it.
    Rule(
        name="throughput_drop",
        means="seconds per step, divided by those at the start",
        threshold=3,
        severity=Severity.INFO,
        advice="Check the other processes on the machine, its temperature, and its memory.",
    ),
    Rule(
        name="chance_validation",
        means="least gain of validation accuracy over the commonest label",
        threshold=0.05,
        share=True,
        advice=(
            "The model does not generalise: check that scores belong to their images, add "
            "images, or train for a shorter time."
        ),
    ),
    # At three consecutive validations, while training accuracy still rises.
    Rule(
        name="overfitting",
        means="fall of validation accuracy while training improves",
        threshold=0.03,
        share=True,
        advice=(
            "Set train.early_stopping, train for fewer epochs, or add images, LoRA dropout or "
            "weight decay."
        ),
    ),
    # Also at three consecutive validations. Common late in a training whose accuracy still rises.
    Rule(
        name="rising_validation_loss",
        means="rise of validation cross-entropy, as a share of its minimum",
        threshold=0.1,
        share=True,
        severity=Severity.INFO,
        advice=(
            "The model becomes overconfident, though accuracy may still rise: use the calibrated "
            "temperature of metrics.json if probabilities matter; otherwise see overfitting."
        ),
    ),
)
