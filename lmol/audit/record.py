"""All that one audited step showed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmol.audit.signals import StepSignals

Table = dict[str, NDArray[Any]]
"""Columns of equal length by name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditRecord:
    """One audited step. gradients, updates, activations: the tables that are written of it.

    skipped: the optimizer left the step out. overflowed: because of fp16 overflow. since: the steps
    after the audit before; answers: late steps after the warm-up, enough of them to count answers.
    assert_tiny: gradient norm up to which a tensor's gradient is zero.
    """

    step: int
    gradients: Table
    updates: Table
    activations: Table
    precision: dict[str, Any]
    skipped: bool
    overflowed: bool
    since: Sequence[StepSignals]
    num_skipped: int
    answers: Sequence[StepSignals]
    assert_tiny: float

    def waiting(self) -> NDArray[np.bool_]:
        """Which tensors are lora_A whose lora_B is zero: no gradient reaches them, by design."""
        weights = dict(zip(self.updates["name"], self.updates["weight_norm"], strict=True))
        partners = [str(name).replace(".lora_A.", ".lora_B.") for name in self.updates["name"]]
        zero = [weights.get(partner) == 0 for partner in partners]
        return (self.updates["group"] == "lora_A") & np.array(zero, dtype=bool)
