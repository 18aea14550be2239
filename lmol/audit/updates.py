"""Effect of an optimizer step on each trained tensor, and a check that frozen ones are unchanged.

n tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lmol.audit.gradients import places
from lmol.audit.parameters import AuditedTensor

STATISTICS = ("weight_norm", "update_norm", "moved", "pushed", "pushed_and_moved", "moved_in_bf16")
CHUNK = 2**24
"""Number of bytes of a tensor that are hashed at a time."""

MULTIPLIER = 6364136223846793005
"""Odd, so it has an inverse modulo 2^64 (Knuth, MMIX): a change of a single word cannot cancel."""


def measure_updates(tensors: Sequence[AuditedTensor], before: Sequence[Tensor]) -> Tensor:
    """Return statistics (n, 6) on the device; call after the step, before gradients are cleared."""
    after = [tensor.parameter.detach() for tensor in tensors]
    changes = torch._foreach_sub(after, list(before))
    norms = [torch.stack(torch._foreach_norm(group)) for group in (list(before), changes)]
    rows = [
        _counts(tensor.parameter, old, change)
        for tensor, old, change in zip(tensors, before, changes, strict=True)
    ]
    return torch.cat([torch.stack(norms, dim=1), torch.stack(rows).float()], dim=1)


def _counts(parameter: nn.Parameter, before: Tensor, change: Tensor) -> Tensor:
    """Count elements that moved, that have a gradient, both, and that would have moved in bf16."""
    gradient = parameter.grad
    nothing = torch.zeros((), dtype=torch.int64, device=change.device)
    return torch.stack(
        [
            torch.count_nonzero(change),
            nothing if gradient is None else torch.count_nonzero(gradient),
            nothing if gradient is None else torch.logical_and(gradient, change).sum(),
            (parameter.detach().bfloat16() != before.bfloat16()).sum(),
        ]
    )


def update_table(
    tensors: Sequence[AuditedTensor], statistics: NDArray[np.float64], rates: Sequence[float]
) -> dict[str, NDArray[Any]]:
    """Return the columns of update_table. rates: the learning rate of each tensor in that step.

    ratio: size of the step divided by size of the weights, infinite if the weights were zero.
    unchanged_in_bf16: share of weights that would not have moved if they were kept in bf16.
    """
    counts = np.array([tensor.parameter.numel() for tensor in tensors], dtype=float)
    found = dict(zip(STATISTICS, statistics.T, strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = found["update_norm"] / found["weight_norm"]
    return {
        **places(tensors),
        "learning_rate": np.array(rates),
        "weight_norm": found["weight_norm"],
        "weight_rms": found["weight_norm"] / np.sqrt(counts),
        "update_norm": found["update_norm"],
        "ratio": ratio,
        "unchanged_share": 1 - found["moved"] / counts,
        "lost_share": (found["pushed"] - found["pushed_and_moved"])
        / np.maximum(found["pushed"], 1),
        "unchanged_in_bf16": 1 - found["moved_in_bf16"] / counts,
    }


def frozen_hashes(model: nn.Module) -> dict[str, Tensor]:
    """Return a 64-bit hash of each frozen tensor by name, on its device; 4-bit ones with scales."""
    return {
        f"{name}{part}": content_hash(tensor)
        for name, parameter in model.named_parameters()
        if not parameter.requires_grad
        for part, tensor in _parts(parameter)
    }


def _parts(parameter: nn.Parameter) -> Iterator[tuple[str, Tensor]]:
    """Yield a tensor and what bitsandbytes keeps with it: its blocks' scales, and their scales."""
    yield "", parameter
    state: Any = getattr(parameter, "quant_state", None)
    for level in (state, getattr(state, "state2", None)):
        scales = getattr(level, "absmax", None)
        if isinstance(scales, Tensor):
            yield (".absmax" if level is state else ".absmax.absmax"), scales


@torch.no_grad()
def content_hash(tensor: Tensor) -> Tensor:
    """Return the sum modulo 2^64 of words times odd factors by position; exact on any device.

    A change of a single word always changes it; several changes almost certainly do.
    """
    data = tensor.detach().contiguous().flatten().view(torch.uint8)
    total = torch.zeros((), dtype=torch.int64, device=tensor.device)
    for start in range(0, len(data), CHUNK):
        words = _words(data[start : start + CHUNK])
        index = torch.arange(start, start + len(words), device=tensor.device)
        factors = (index * MULTIPLIER) ^ (index >> 7) | 1
        total = total + (words * factors).sum()
    return total


def _words(data: Tensor) -> Tensor:
    """Return bytes as 32-bit words in 64-bit integers; the factors spread them over all bits."""
    whole = len(data) - len(data) % 4
    words = data[:whole].view(torch.int32).to(torch.int64)
    rest = data[whole:].to(torch.int64)
    return torch.cat([words, rest]) if len(rest) else words


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> list[str]:
    """Return names whose hashes differ, or that only one side has; one transfer."""
    names = sorted(before.keys() & after.keys())
    unpaired = sorted(before.keys() ^ after.keys())
    if not names:
        return unpaired
    device = before[names[0]].device
    old = torch.stack([before[name].to(device) for name in names])
    new = torch.stack([after[name].to(device) for name in names])
    return unpaired + [
        name for name, same in zip(names, (old == new).tolist(), strict=True) if not same
    ]
