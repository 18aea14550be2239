"""Where memory goes: by phase of a step, by kind, and how large a batch would fit.

Bytes throughout. On CUDA allocated, reserved and peak are the allocator's; elsewhere the resident
size of the process stands for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.optim import Optimizer

from lmol.audit.parameters import AuditedTensor
from lmol.runs.environment import remember_cuda_peak

PROCESS = psutil.Process()
PHASES = ("before", "forward", "backward", "optimizer")
HEADROOM = 0.9
"""Share of the memory that a batch may fill: fragments and what others take need the rest."""


def phase_memory(phase: str, device: torch.device) -> dict[str, Any]:
    """One row of the memory table, at the end of a phase; the next phase's peak begins anew."""
    resident = PROCESS.memory_info().rss
    if device.type != "cuda":
        return {"phase": phase, "allocated": None, "reserved": None, "peak": None, "rss": resident}
    row = {
        "phase": phase,
        "allocated": torch.cuda.memory_allocated(device),
        "reserved": torch.cuda.memory_reserved(device),
        "peak": torch.cuda.max_memory_allocated(device),
        "rss": resident,
    }
    remember_cuda_peak(device.index or 0, row["peak"])
    torch.cuda.reset_peak_memory_stats(device)
    return row


@dataclass
class SavedBytes:
    """Bytes that a forward pass keeps for its backward pass, without the weights among them."""

    total: int = 0


@contextmanager
def counting_saved(model: nn.Module) -> Iterator[SavedBytes]:
    """Count what autograd saves; each storage once. Inside recomputed layers nothing is seen."""
    counted = SavedBytes()
    known = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            known.add(storage.data_ptr())
            counted.total += storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        yield counted


def memory_by_kind(
    model: nn.Module, tensors: list[AuditedTensor], optimizer: Optimizer
) -> dict[str, int]:
    """Bytes of frozen weights, of each kind of trained ones, their gradients, optimizer state."""
    frozen = sum(_bytes(p) for p in model.parameters() if not p.requires_grad)
    trained: dict[str, int] = {}
    for tensor in tensors:
        kind = tensor.group.partition("_")[0]  # lora_A and lora_B are lora
        trained[kind] = trained.get(kind, 0) + _bytes(tensor.parameter)
    gradients = sum(_bytes(t.parameter.grad) for t in tensors if t.parameter.grad is not None)
    state = sum(
        _bytes(value)
        for values in optimizer.state.values()
        for value in values.values()
        if isinstance(value, Tensor)
    )
    return {
        "frozen_weights": frozen,
        **trained,
        "gradients": gradients,
        "optimizer_state": state,
    }


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def largest_batch(
    rows: list[dict[str, Any]], by_kind: dict[str, int], saved: int, batch_pairs: int, total: int
) -> int | None:
    """Pairs a micro-batch that fill HEADROOM of `total` bytes; None where nothing was counted.

    At rest are weights, gradients and optimizer state; a pair costs what the present batch took on
    top: on CUDA the peak of its phases, elsewhere what was saved for the backward pass, which is
    less; 0 where that is not known.
    """
    at_rest = sum(by_kind.values())
    peaks = [row["peak"] for row in rows if row["peak"] is not None and row["phase"] != PHASES[0]]
    a_pair = ((max(peaks) - at_rest) if peaks else saved) / batch_pairs
    if a_pair <= 0:
        return None
    return max(0, int((HEADROOM * total - at_rest) / a_pair))


def total_memory(device: torch.device, by_kind: dict[str, int]) -> int:
    """Bytes of the device; on a CPU what is free, with what this process holds already."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().available) + sum(by_kind.values())
