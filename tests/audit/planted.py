"""Faults for the rules that the benchmark's faults do not need."""

import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from transformers import LlavaForConditionalGeneration

from lmol.audit.parameters import audited_tensors
from lmol.experiments.bench.fault_runs import LONGER, Fault
from lmol.experiments.bench.faults import During, activation
from tests.tiny import tiny_backbone

LAYERS = 8


def times(factor, *, group="", step=None):
    """Gradients of a group times a factor, in all steps or in one."""

    def plant(case):
        now = {"step": 0}
        case.callbacks.append(During(range(10**6), lambda kwargs: now.update(step=now["step"] + 1)))
        for tensor in audited_tensors(case.comparer):
            if tensor.group.startswith(group):
                tensor.parameter.register_hook(
                    lambda g: g * factor if step in (None, now["step"]) else g
                )

    return plant


def one_gradient_is_zero(case):
    tensor = next(t for t in audited_tensors(case.comparer) if t.group == "lora_B")
    tensor.parameter.register_hook(lambda gradient: gradient * 0)


def large_projector(case):
    with torch.no_grad():
        case.projector.linear_2.weight.mul_(1e4)


def nearly_overflowing(case):
    """Projected images of 4e4, where fp16 holds 6.6e4."""
    with torch.no_grad():
        case.projector.linear_2.weight.zero_()
        case.projector.linear_2.bias.fill_(4e4)


def sharp_attention(case):
    with torch.no_grad():
        for layer in case.comparer.base.model.model.language_model.layers:
            layer.self_attn.q_proj.base_layer.weight.mul_(1e4)


def write_deep_base(folder: Path) -> str:
    """The tiny base with 8 layers in its language model, random."""
    base = tiny_backbone().load()
    config: Any = base.model.config
    config.text_config.num_hidden_layers = LAYERS
    config.text_config.layer_types = None
    torch.manual_seed(0)
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    base.processor.save_pretrained(folder)
    return str(folder)


def along_depth(factor):
    """What passes back through a layer is times a factor."""

    def plant(case):
        for layer in case.comparer.base.model.model.language_model.layers:
            layer.register_full_backward_hook(
                lambda module, inputs, outputs: tuple(
                    None if g is None else g * factor for g in inputs
                )
            )

    return plant


def given_away(trainer, case):
    """The label of a batch reaches the model beside its images."""
    collate, forward = trainer.data_collator, case.comparer.answer_logits
    labels: deque[Tensor] = deque()  # batches are prepared ahead

    def remembering(pairs):
        batch = collate(pairs)
        labels.append(batch["targets"].argmax(-1).flatten())
        return batch

    trainer.data_collator = remembering
    case.comparer.answer_logits = lambda images: forward(images) + 20 * one_hot(labels.popleft(), 3)


def slow(case):
    """From step 86 on, as beside another program: each by ten times what one took before."""
    project, begun = case.comparer.project, []

    def later(features):
        if case.comparer.training:
            begun.append(time.monotonic())
        if len(begun) > 85:
            time.sleep(10 * (begun[84] - begun[0]) / 84)
        return project(features)

    case.comparer.project = later


def worse_validation(trainer, case):
    """Validation accuracy that falls after the first of five validations."""
    left = iter([0.9, 0.8, 0.7, 0.7, 0.6])
    names = ("macro_f1", "cross_entropy", "order_consistency", "pearson")
    constant = dict.fromkeys(names, 0.5)
    validate_with(trainer, lambda step: {**constant, "accuracy": next(left)})


def surer_than_right(trainer, case):
    """Validation cross-entropy that rises after the first of five validations."""
    rising = iter([0.4, 0.6, 0.7, 0.8, 0.9])
    names = ("accuracy", "macro_f1", "cross_entropy", "order_consistency", "pearson")
    known = dict.fromkeys(names, 0.9)
    validate_with(trainer, lambda step: {**known, "comparable_cross_entropy": next(rising)})


def validate_with(trainer, validate):
    """Replace what is measured at a validation."""
    trainer.data = replace(trainer.data, validate=validate)


PLANTED = (
    Fault(name="one gradient is zero", rules=("zero_gradient",), plant=one_gradient_is_zero),
    Fault(
        name="broken gradient",
        rules=("broken_gradient", "non_finite_gradient"),
        overrides=("train.health.rules.non_finite_gradient.action=log", "audit.interval=1"),
        plant=times(float("nan"), group="lora_B", step=4),
        since=4,
    ),
    Fault(
        name="the projector's gradients times 1e4",
        rules=("projector_dominates",),
        plant=times(1e4, group="projector"),
    ),
    Fault(
        name="a learning rate below what weights resolve",
        rules=("unmoved_weights",),
        overrides=("optim.lr_lora=1e-12", "optim.weight_decay=0"),
    ),
    Fault(
        name="a learning rate that moves only what is small",
        rules=("lost_updates",),
        overrides=("optim.lr_projector=1e-8", "optim.weight_decay=0", "optim.warmup_ratio=0"),
    ),
    Fault(
        name="saturated sigmoid",
        rules=("saturated_sigmoid",),
        plant=activation(nn.Sigmoid, 1000.0, 0.0),
    ),
    Fault(name="flat GELU", rules=("flat_gelu",), plant=activation(nn.GELU, 1.0, -50.0)),
    Fault(name="a projector out of scale", rules=("scale_mismatch",), plant=large_projector),
    Fault(
        name="activations near the end of fp16",
        rules=("residual_overflow",),
        overrides=("model.backbone.dtype=fp16",),
        plant=nearly_overflowing,
    ),
    Fault(
        name="attention on one position",
        rules=("collapsed_attention",),
        overrides=("audit=full", "model.backbone.attention=eager"),
        plant=sharp_attention,
    ),
    Fault(
        name="the answer stands in the input",
        rules=("loss_too_small",),
        overrides=("train.health.window=16",),
        in_trainer=given_away,
    ),
    Fault(
        name="high gradients",
        rules=("gradient_norm_high",),
        overrides=LONGER,
        plant=times(1000.0),
    ),
    Fault(
        name="one exploding step",
        rules=("gradient_explosion",),
        plant=times(1e6, step=20),
        since=20,
    ),
    Fault(
        name="one gradient that is not finite",
        rules=("non_finite_gradient",),
        plant=times(float("inf"), step=3),
        since=3,
    ),
    Fault(
        name="slower and slower",
        rules=("throughput_drop",),
        overrides=LONGER,
        plant=slow,
        since=85,
    ),
    Fault(
        name="better at training, worse at validation",
        rules=("overfitting",),
        overrides=(*LONGER, "train.validate_every=0.2"),
        in_trainer=worse_validation,
    ),
    Fault(
        name="surer at validation than it is right",
        rules=("rising_validation_loss",),
        overrides=(*LONGER, "train.validate_every=0.2"),
        in_trainer=surer_than_right,
    ),
)
