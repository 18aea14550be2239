"""Measurements of one audited step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmol.audit.signals import StepSignals

STARTED = 1e-6
"""RMS of a lora_B that has begun to learn. It starts at zero, and so does the gradient of lora_A;
with a long warm-up to a small learning rate it is about 1e-7 at the second step."""

Table = dict[str, NDArray[Any]]
"""Columns of equal length by name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditRecord:
    """One audited step. gradients, updates, activations: the tables that are written for it.

    skipped: the optimizer left the step out. overflowed: because of fp16 overflow. rate_share: the
    learning rate as a share of its peak. since: the steps after the previous audit; num_overflowed:
    how many of them were lost to fp16 overflow; answers: steps after the warm-up, enough to count
    answers. assert_tiny: gradient norm up to which a tensor's gradient counts as zero.
    """

    step: int
    gradients: Table
    updates: Table
    activations: Table
    precision: dict[str, Any]
    skipped: bool
    overflowed: bool
    rate_share: float
    since: Sequence[StepSignals]
    num_overflowed: int
    answers: Sequence[StepSignals]
    assert_tiny: float

    def waiting(self, size: float = 0.0) -> NDArray[np.bool_]:
        """Return a mask of the lora_A tensors whose lora_B has an RMS of at most `size`.

        Their gradient is zero or nearly zero by design.
        """
        sizes = dict(zip(self.updates["name"], self.updates["weight_rms"], strict=True))
        partners = [str(name).replace(".lora_A.", ".lora_B.") for name in self.updates["name"]]
        small = [sizes.get(partner, 1.0) <= size for partner in partners]
        return (self.updates["group"] == "lora_A") & np.array(small, dtype=bool)
