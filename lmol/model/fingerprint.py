"""Digests of tensors, by which frozen weights and trained models are known again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from torch import Tensor

SAMPLE = 256
"""Numbers of a tensor that are looked at: enough to tell any two trainings apart."""


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
