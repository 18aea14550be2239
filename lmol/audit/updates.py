"""What an optimizer step did to each trained tensor, and proof that frozen ones are as they were.

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
"""Bytes of a tensor that are hashed at a time."""

MULTIPLIER = 6364136223846793005
"""Odd, so that it has an inverse modulo 2^64 (Knuth, MMIX): no change of one word can cancel."""


def copies(tensors: Sequence[AuditedTensor]) -> list[Tensor]:
    """The tensors as they are before a step."""
    return [tensor.parameter.detach().clone() for tensor in tensors]


def measure_updates(tensors: Sequence[AuditedTensor], before: Sequence[Tensor]) -> Tensor:
    """Statistics (n, 6) on the device, between the step and the clearing of gradients."""
    after = [tensor.parameter.detach() for tensor in tensors]
    changes = torch._foreach_sub(after, list(before))
    norms = [torch.stack(torch._foreach_norm(group)) for group in (list(before), changes)]
    rows = [
        _counts(tensor.parameter, old, change)
        for tensor, old, change in zip(tensors, before, changes, strict=True)
    ]
    return torch.cat([torch.stack(norms, dim=1), torch.stack(rows).float()], dim=1)


def _counts(parameter: nn.Parameter, before: Tensor, change: Tensor) -> Tensor:
    """Elements that moved, that have a gradient, both, and that bf16 would have let move."""
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
    """Columns of update_table. rates: the learning rate of each tensor in that step.

    ratio: size of the step by size of the weights, infinite where those were zero.
    unchanged_in_bf16: share that weights kept in bf16 would not have moved.
    """
    counts = np.array([tensor.parameter.numel() for tensor in tensors], dtype=float)
    found = dict(zip(STATISTICS, statistics.T, strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = found["update_norm"] / found["weight_norm"]
    return {
        "name": np.array([tensor.name for tensor in tensors], dtype=object),
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
    """A 64-bit hash of every frozen tensor, on its device, by name; of 4-bit ones, scales too."""
    return {
        f"{name}{part}": content_hash(tensor)
        for name, parameter in model.named_parameters()
        if not parameter.requires_grad
        for part, tensor in _parts(parameter)
    }


def _parts(parameter: nn.Parameter) -> Iterator[tuple[str, Tensor]]:
    """A tensor, and what bitsandbytes keeps beside it: the scales of its blocks, and of those."""
    yield "", parameter
    state: Any = getattr(parameter, "quant_state", None)
    for level in (state, getattr(state, "state2", None)):
        scales = getattr(level, "absmax", None)
        if isinstance(scales, Tensor):
            yield (".absmax" if level is state else ".absmax.absmax"), scales


@torch.no_grad()
def content_hash(tensor: Tensor) -> Tensor:
    """Sum modulo 2^64 of words times odd factors that depend on their place; exact on any device.

    A single changed word always changes it, several all but certainly.
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
    """Bytes as 32-bit words in 64-bit integers, which the factors spread over all bits."""
    whole = len(data) - len(data) % 4
    words = data[:whole].view(torch.int32).to(torch.int64)
    rest = data[whole:].to(torch.int64)
    return torch.cat([words, rest]) if len(rest) else words


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> list[str]:
    """Names whose hashes differ, or that are in one alone; one transfer."""
    names = sorted(before.keys() & after.keys())
    alone = sorted(before.keys() ^ after.keys())
    if not names:
        return alone
    device = before[names[0]].device
    old = torch.stack([before[name].to(device) for name in names])
    new = torch.stack([after[name].to(device) for name in names])
    return alone + [
        name for name, same in zip(names, (old == new).tolist(), strict=True) if not same
    ]
