"""The nodes of the typed tree that say what is looked at while a model trains, and what follows.

A rule's name is its key. Threshold and action stand in YAML, with the reason beside them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lmol.config.choices import Action, AuditLevel, Severity
from lmol.config.fields import Count, NonNegative, ProperShare, Share, node


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


@node
class AuditRules:
    """What an audited step is looked at for."""

    missing_gradient: Annotated[RuleConfig, Field(description="trained tensors with no gradient")]
    zero_gradient: Annotated[
        RuleConfig, Field(description="trained tensors with a gradient norm up to assert_tiny")
    ]
    broken_gradient: Annotated[RuleConfig, Field(description="NaN or infinite gradient elements")]
    vanishing_depth: Annotated[
        RuleConfig, Field(description="gradient norm of the last layers by that of the first")
    ]
    exploding_depth: Annotated[
        RuleConfig, Field(description="gradient norm of the first layers by that of the last")
    ]
    projector_dominates: Annotated[
        RuleConfig, Field(description="the projector's gradient norm by that of LoRA")
    ]
    unmoved_weights: Annotated[RuleConfig, Field(description="trained tensors left as they were")]
    zero_learning_rate: Annotated[
        RuleConfig, Field(description="trained tensors with a learning rate of 0")
    ]
    lost_updates: Annotated[
        ShareRuleConfig, Field(description="elements with a gradient that the step did not change")
    ]
    large_updates: Annotated[
        RuleConfig, Field(description="size of a step by the size of the weights it changes")
    ]
    frozen_adapter: Annotated[RuleConfig, Field(description="adapter tensors kept from training")]
    misplaced_adapter: Annotated[
        RuleConfig, Field(description="adapters outside the language model")
    ]
    frozen_weights_changed: Annotated[
        RuleConfig, Field(description="frozen tensors that are not what they were at the start")
    ]
    dead_relu: Annotated[ShareRuleConfig, Field(description="zeros among a ReLU's outputs")]
    saturated_sigmoid: Annotated[
        ShareRuleConfig, Field(description="sigmoid outputs beyond .97 of their range")
    ]
    saturated_tanh: Annotated[
        ShareRuleConfig, Field(description="tanh outputs beyond .97 of their range")
    ]
    flat_gelu: Annotated[
        ShareRuleConfig, Field(description="inputs in the flat left tail of a GELU or SiLU")
    ]
    scale_mismatch: Annotated[
        RuleConfig, Field(description="size of projected images by that of text, or the inverse")
    ]
    residual_overflow: Annotated[
        ShareRuleConfig, Field(description="largest activation by the largest number it can hold")
    ]
    collapsed_attention: Annotated[
        ShareRuleConfig, Field(description="least attention entropy, as a share of the largest")
    ]
    skipped_steps: Annotated[
        ShareRuleConfig, Field(description="steps that fp16 overflow cost since the last audit")
    ]
    dead_answer: Annotated[
        ShareRuleConfig, Field(description="share of a label whose answer is never given")
    ]
    one_class_data: Annotated[
        ShareRuleConfig, Field(description="share of the most common label since the last audit")
    ]
    contradictory_orders: Annotated[
        ShareRuleConfig, Field(description="pairs whose two orders have labels that disagree")
    ]
    contradictory_labels: Annotated[
        ShareRuleConfig, Field(description="training pairs whose label is not that of the scores")
    ]


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
class HealthRules:
    """What every step, or every validation, is looked at for."""

    non_finite_loss: Annotated[RuleConfig, Field(description="micro-batches of a NaN or Inf loss")]
    non_finite_gradient: Annotated[RuleConfig, Field(description="steps of a NaN or Inf gradient")]
    loss_spike: Annotated[
        RuleConfig, Field(description="robust z-score of the last losses within the window")
    ]
    loss_too_small: Annotated[RuleConfig, Field(description="least median loss, in nats")]
    gradient_norm_high: Annotated[RuleConfig, Field(description="median gradient norm")]
    gradient_explosion: Annotated[
        RuleConfig, Field(description="gradient norm of a step that stands out of its window")
    ]
    stalled_accuracy: Annotated[
        ShareRuleConfig,
        Field(description="least gain of training accuracy over the commonest label"),
    ]
    one_class_collapse: Annotated[
        ShareRuleConfig, Field(description="share of the most common answer in the window")
    ]
    throughput_drop: Annotated[
        RuleConfig, Field(description="seconds a step by those at the start")
    ]
    chance_validation: Annotated[
        ShareRuleConfig,
        Field(description="least gain of validation accuracy over the commonest label"),
    ]
    overfitting: Annotated[
        ShareRuleConfig, Field(description="fall of validation accuracy while training improves")
    ]
    rising_validation_loss: Annotated[
        ShareRuleConfig, Field(description="rise of validation's cross-entropy, by its least")
    ]


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
