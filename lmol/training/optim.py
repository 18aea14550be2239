"""AdamW with named groups: adapters, projector weights, projector biases."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lmol.config.schema import OptimConfig
from lmol.model.adapter import parameter_group
from lmol.training.schedule import learning_rate_share


def build_optimizer(model: nn.Module, config: OptimConfig) -> AdamW:
    """Groups named lora, projector and projector_bias, each with its own peak learning rate.

    Weight decay is decoupled (Loshchilov and Hutter, 2019) and left off biases.
    """
    members: dict[str, list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            members[_group(name)].append(parameter)
    groups = [
        {"name": name, "params": members[name], **_settings(name, config)} for name in members
    ]
    return AdamW(groups, betas=(config.beta1, config.beta2), eps=config.epsilon)


def _group(name: str) -> str:
    if parameter_group(name) != "projector":
        return "lora"
    return "projector_bias" if name.endswith(".bias") else "projector"


def _settings(group: str, config: OptimConfig) -> dict[str, Any]:
    peak = config.lr_lora if group == "lora" else config.lr_projector
    decay = 0.0 if group.endswith("bias") else config.weight_decay
    return {"lr": peak, "weight_decay": decay}


def build_scheduler(optimizer: Optimizer, num_steps: int, config: OptimConfig) -> LambdaLR:
    """One schedule for all groups, each relative to its own peak."""
    return LambdaLR(optimizer, lambda step: learning_rate_share(step, num_steps, config))


def learning_rates(optimizer: Any) -> dict[str, float]:
    """Present learning rate by group name."""
    return {group["name"]: float(group["lr"]) for group in optimizer.param_groups}
