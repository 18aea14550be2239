"""Digests of tensors, which identify frozen weights and trained models."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from torch import Tensor

SAMPLE = 256
"""Numbers hashed per tensor, enough to distinguish any two trainings."""


def samples(tensor: Tensor) -> Tensor:
    """Return at most SAMPLE evenly spread numbers of a tensor."""
    flat = tensor.detach().flatten()
    return flat[:: max(1, flat.numel() // SAMPLE)][:SAMPLE]


def digest(tensors: Iterable[tuple[str, Tensor]], seed: str = "") -> str:
    """Return the SHA-256 (hexadecimal) of names, shapes, types and numbers."""
    found = hashlib.sha256(seed.encode())
    for name, tensor in tensors:
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        numbers = tensor.detach().cpu()
        exact = numbers.double() if numbers.is_floating_point() else numbers
        found.update(exact.contiguous().numpy().tobytes())
    return found.hexdigest()
