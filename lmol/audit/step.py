"""One audited step under way: what is measured stays on the device until the step is done."""

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
from lmol.audit.updates import copies, measure_updates, update_table


@dataclass(eq=False)
class OpenStep:
    """Filled in the order of a training step: forward, backward, clipping, optimizer."""

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
        """Gradients of all micro-batches are there, and not clipped. scale: of the loss (fp16)."""
        self.scale = scale
        self._gradients = measure_gradients(self.tensors, scale or 1.0, half, full=full)

    def clipped(self) -> None:
        """The optimizer's step comes next."""
        self._clipped = gradient_norms(self.tensors)
        self._before = copies(self.tensors)

    def finish(self, optimizer: Optimizer) -> tuple[Table, Table, Table]:
        """Tables of gradients, updates and activations; the one transfer from the device."""
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
    """Tensors of two dimensions, on the host in one go."""
    flat = torch.cat([part.flatten().float() for part in parts]).cpu().double().numpy()
    ends = np.cumsum([part.numel() for part in parts])
    return [
        piece.reshape(tuple(part.shape))
        for piece, part in zip(np.split(flat, ends[:-1]), parts, strict=True)
    ]


def _rates(tensors: Sequence[AuditedTensor], optimizer: Optimizer) -> list[float]:
    """The learning rate of each tensor; 0 of one that the optimizer does not have."""
    rates = {
        id(parameter): float(group["lr"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    return [rates.get(id(tensor.parameter), 0.0) for tensor in tensors]
