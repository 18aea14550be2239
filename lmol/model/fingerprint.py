"""By what a base and a trained comparer are known again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lmol.model.adapter import checkpoint_tensors
from lmol.model.comparer import Comparer

NEVER_QUANTIZED = ("embed_tokens", "norm", "lm_head", "vision_tower")
"""Parts of the names of weights that are the same however the base is quantised."""

SAMPLE = 256
"""Numbers of each of these tensors that are looked at: enough to tell any two trainings apart."""


def base_fingerprint(base: nn.Module) -> str:
    """SHA-256 (hexadecimal) of evenly spread samples of the frozen, never quantised weights.

    The same with adapters and without, quantised or not; not in another precision (dtype).
    """
    frozen = (
        (name.replace(".base_layer", ""), parameter)
        for name, parameter in base.named_parameters()
        if not parameter.requires_grad and any(part in name for part in NEVER_QUANTIZED)
    )
    return _digest((name, _sample(tensor)) for name, tensor in frozen)


def comparer_fingerprint(comparer: Comparer) -> str:
    """SHA-256 (hexadecimal) of all that decides its answers: base, trained tensors and prompt."""
    prompt = comparer.prompt
    ids = torch.cat([prompt.input_ids.cpu(), torch.tensor(prompt.answer_ids)])
    layers = {type(module).__name__ for module in comparer.modules()}
    quantized = sorted(layers & {"Linear4bit", "Linear8bitLt"})
    base = base_fingerprint(comparer.base.model)
    tensors = sorted(checkpoint_tensors(comparer.adapted).items())
    return _digest([("prompt", ids), *tensors], seed=f"{base} {quantized}")


def _sample(tensor: Tensor) -> Tensor:
    flat = tensor.detach().flatten()
    return flat[:: max(1, flat.numel() // SAMPLE)][:SAMPLE]


def _digest(tensors: Iterable[tuple[str, Tensor]], seed: str = "") -> str:
    digest = hashlib.sha256(seed.encode())
    for name, tensor in tensors:
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        numbers = tensor.detach().cpu()
        exact = numbers.double() if numbers.is_floating_point() else numbers
        digest.update(exact.contiguous().numpy().tobytes())
    return digest.hexdigest()
