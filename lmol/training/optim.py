"""AdamW with the named groups of a model, and the learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lmol.config.schema import OptimConfig, Schedule
from lmol.model.pair_model import PairModel

BIAS = "_bias"
"""Suffix of groups without weight decay."""

SHAPES: dict[Schedule, Callable[[float, int], float]] = {
    Schedule.COSINE: lambda done, cycles: 0.5 * (1 + math.cos(math.pi * done)),
    Schedule.COSINE_RESTARTS: lambda done, cycles: (
        0.5 * (1 + math.cos(math.pi * (done * cycles % 1)))
    ),
    Schedule.LINEAR: lambda done, cycles: 1 - done,
    Schedule.CONSTANT: lambda done, cycles: 1.0,
}
"""Share of the peak, before the floor, at `done` in 0..1 of the steps after the warm-up."""


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


def learning_rate_share(step: int, num_steps: int, config: OptimConfig) -> float:
    """Return the share of the peak learning rate at optimizer step `step` (0-based).

    It rises linearly over the warm-up to 1, then follows the shape from 1 down to the floor.
    """
    warmup = math.ceil(config.warmup_ratio * num_steps)
    if step < warmup:
        return (step + 1) / warmup
    done = min((step - warmup) / max(num_steps - warmup, 1), 1.0)
    return config.floor + (1 - config.floor) * SHAPES[config.schedule](done, config.cycles)


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
