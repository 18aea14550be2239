"""Learning-rate schedules as shares of the peak, by optimizer step."""

from __future__ import annotations

import math
from collections.abc import Callable

from lmol.config.schema import OptimConfig, Schedule

Shape = Callable[[float, int], float]

SHAPES: dict[Schedule, Shape] = {
    Schedule.COSINE: lambda done, cycles: 0.5 * (1 + math.cos(math.pi * done)),
    Schedule.COSINE_RESTARTS: lambda done, cycles: (
        0.5 * (1 + math.cos(math.pi * (done * cycles % 1)))
    ),
    Schedule.LINEAR: lambda done, cycles: 1 - done,
    Schedule.CONSTANT: lambda done, cycles: 1.0,
}
"""Share of the peak, before the floor, at `done` in 0..1 of the steps after the warm-up."""


def learning_rate_share(step: int, num_steps: int, config: OptimConfig) -> float:
    """Return the share of the peak learning rate at optimizer step `step` (0-based).

    It rises linearly over the warm-up to 1, then follows the shape from 1 down to the floor.
    """
    warmup = math.ceil(config.warmup_ratio * num_steps)
    if step < warmup:
        return (step + 1) / warmup
    done = min((step - warmup) / max(num_steps - warmup, 1), 1.0)
    return config.floor + (1 - config.floor) * SHAPES[config.schedule](done, config.cycles)
