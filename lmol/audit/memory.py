"""Memory use by phase of a step and by kind, and the largest batch that would fit.

All values are bytes. On CUDA, allocated, reserved and peak are those of the allocator; on other
devices all three are the resident size of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.optim import Optimizer

from lmol.audit.parameters import AuditedTensor
from lmol.runs.environment import remember_cuda_peak

PROCESS = psutil.Process()
HEADROOM = 0.9
"""Share of the memory that a batch may fill; fragments and other processes need the rest."""


def phase_memory(phase: str, device: torch.device) -> dict[str, Any]:
    """Return one row of the memory table at the end of a phase, and reset the peak."""
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


@contextmanager
def counting_saved(model: nn.Module) -> Iterator[dict[int, int]]:
    """Collect the bytes of each storage, by address, that a forward pass saves for its backward.

    Weights and recomputed layers are not counted.
    """
    saved: dict[int, int] = {}
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved.setdefault(storage.data_ptr(), storage.nbytes())
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        yield saved


def memory_by_kind(
    model: nn.Module, tensors: list[AuditedTensor], optimizer: Optimizer
) -> dict[str, int]:
    """Return the bytes of frozen weights, each trained kind, gradients and optimizer state."""
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
    """Return the pairs per micro-batch that fill HEADROOM of `total` bytes; None without a count.

    Weights, gradients and optimizer state are constant. The cost of a pair is the memory that the
    present batch took in addition: on CUDA the peak of its phases; on other devices `saved`, the
    bytes for the backward pass, which is less. saved: 0 if it is not known.
    """
    at_rest = sum(by_kind.values())
    peaks = [row["peak"] for row in rows if row["peak"] is not None and row["phase"] != "before"]
    a_pair = ((max(peaks) - at_rest) if peaks else saved) / batch_pairs
    if a_pair <= 0:
        return None
    return max(0, int((HEADROOM * total - at_rest) / a_pair))


def total_memory(device: torch.device, by_kind: dict[str, int]) -> int:
    """Return the device's bytes; on a CPU the free memory plus what this process already holds."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().available) + sum(by_kind.values())
