"""Digests of the frozen weights of a base."""

from __future__ import annotations

from torch import nn

from lmol.model.fingerprint import digest, samples
from lmol.model.vlm.base import Base


def base_fingerprint(base: Base) -> dict[str, str]:
    """Return digests of samples of the frozen weights; the same with and without adapters.

    The projector is trained or replaced, so its frozen original affects no answer.

    unquantized: digest of the weights that are never quantised. whole: digest of all weights, only
    if none is quantised: quantised numbers depend on the device that made them. Both change with
    the precision (dtype).
    """
    linear = {  # the layers that quantisation replaces; the head is kept
        f"{name}.weight"
        for name, module in base.model.named_modules()
        if isinstance(module, nn.Linear) and f"{base.language_path}." in name
    }
    frozen = {
        name: samples(parameter)
        for name, parameter in base.model.named_parameters()
        if not parameter.requires_grad and f"{base.projector_path}." not in name
    }
    found = {"unquantized": [name for name in frozen if name not in linear]}
    if not quantized_layers(base.model):
        found["whole"] = list(frozen)
    return {
        kind: digest((name.replace(".base_layer", ""), frozen[name]) for name in names)
        for kind, names in found.items()
    }


def quantized_layers(model: nn.Module) -> list[str]:
    """Return the kinds of quantised layers that a model has."""
    layers = {type(module).__name__ for module in model.modules()}
    return sorted(layers & {"Linear4bit", "Linear8bitLt"})
