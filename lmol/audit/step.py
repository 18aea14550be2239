"""An audited step in progress; measurements stay on the device until the step is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from lmol.audit.activations import Seen, activation_table
from lmol.audit.gradients import gradient_norms, gradient_table, measure_gradients
from lmol.audit.parameters import AuditedTensor
from lmol.audit.record import Table
from lmol.audit.updates import measure_updates, update_table


@dataclass(eq=False)
class OpenStep:
    """Measurements, filled in the order of a step: forward, backward, clipping, optimizer."""

    step: int
    tensors: Sequence[AuditedTensor]
    seen: Seen = field(default_factory=Seen)
    memory: list[dict[str, Any]] = field(default_factory=list)
    scale: float | None = None
    watched: bool = False
    _gradients: Tensor | None = None
    _clipped: Tensor | None = None
    _before: list[Tensor] = field(default_factory=list)

    def backward_done(self, scale: float | None, half: torch.dtype, *, full: bool) -> None:
        """Measure the gradients of all micro-batches before clipping. scale: loss scale (fp16)."""
        self.scale = scale
        self._gradients = measure_gradients(self.tensors, scale or 1.0, half, full=full)

    def clipped(self) -> None:
        """Measure the clipped norms and copy the weights, just before the optimizer's step."""
        self._clipped = gradient_norms(self.tensors)
        self._before = [tensor.parameter.detach().clone() for tensor in self.tensors]

    def finish(self, optimizer: Optimizer) -> tuple[Table, Table, Table]:
        """Return tables of gradients, updates and activations in one transfer from the device."""
        assert self._gradients is not None, "a step has a backward pass"
        assert self._clipped is not None, "a step is clipped, or measured where it would be"
        device = self._gradients.device
        measured = [
            self._gradients,
            self._clipped.unsqueeze(1),
            measure_updates(self.tensors, self._before),
            self.seen.stacked(device),
        ]
        self._before = []
        gradients, clipped, updates, activations = _transferred(measured)
        return (
            gradient_table(self.tensors, gradients, clipped[:, 0]),
            update_table(self.tensors, updates, _rates(self.tensors, optimizer)),
            activation_table(self.seen, activations),
        )


def _transferred(parts: Sequence[Tensor]) -> list[NDArray[np.float64]]:
    """Return two-dimensional tensors on the host, moved in one transfer."""
    flat = torch.cat([part.flatten().float() for part in parts]).cpu().double().numpy()
    ends = np.cumsum([part.numel() for part in parts])
    return [
        piece.reshape(tuple(part.shape))
        for piece, part in zip(np.split(flat, ends[:-1]), parts, strict=True)
    ]


def _rates(tensors: Sequence[AuditedTensor], optimizer: Optimizer) -> list[float]:
    """Return the learning rate of each tensor; 0 for a tensor that the optimizer lacks."""
    rates = {
        id(parameter): float(group["lr"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    return [rates.get(id(tensor.parameter), 0.0) for tensor in tensors]
