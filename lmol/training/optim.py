"""AdamW with the named groups of a model, and their schedule."""

from __future__ import annotations

from typing import Any

from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lmol.config.schema import OptimConfig
from lmol.model.pair_model import PairModel
from lmol.training.schedule import learning_rate_share

BIAS = "_bias"
"""Suffix of groups without weight decay."""


def build_optimizer(model: PairModel, config: OptimConfig) -> AdamW:
    """Return AdamW with the model's own groups, each with its peak learning rate.

    Weight decay is decoupled (Loshchilov and Hutter, 2019) and not applied to biases.
    """
    groups = [
        {"name": name, "params": members, **_settings(name, config)}
        for name, members in model.parameter_groups().items()
    ]
    return AdamW(groups, betas=(config.beta1, config.beta2), eps=config.epsilon)


def _settings(group: str, config: OptimConfig) -> dict[str, Any]:
    peak = getattr(config, f"lr_{group.removesuffix(BIAS)}", config.lr)
    return {"lr": peak, "weight_decay": 0.0 if group.endswith(BIAS) else config.weight_decay}


def build_scheduler(optimizer: Optimizer, num_steps: int, config: OptimConfig) -> LambdaLR:
    """Return one schedule for all groups, each relative to its own peak."""
    return LambdaLR(optimizer, lambda step: learning_rate_share(step, num_steps, config))


def learning_rates(optimizer: Any) -> dict[str, float]:
    """Return the present learning rate by group; biases have that of their group."""
    rates = {
        str(group["name"]).removesuffix(BIAS): float(group["lr"])
        for group in optimizer.param_groups
    }
    return dict(sorted(rates.items(), reverse=True))
