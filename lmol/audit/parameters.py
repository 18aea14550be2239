"""The tensors that are audited: their group, their layer and a short name, in forward order."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch import nn

from lmol.model.adapter import PROJECTOR, parameter_group

LAYER = re.compile(r"\.layers\.(\d+)\.")
LANGUAGE_MODEL = "language_model."
WRAPPED = "adapted.base_model.model.model."
"""What stands before the base's own module names in a comparer."""

ADAPTER_PARTS = (".lora_A.", ".lora_B.", ".modules_to_save.")
"""What PEFT calls the tensors that it trains: adapters, and whole modules beside them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditedTensor:
    """One trained tensor. layer: its number in the language model; None for the projector."""

    name: str
    parameter: nn.Parameter
    group: str
    layer: int | None

    @property
    def short(self) -> str:
        """As messages and pictures name it."""
        return short_name(self.name)


def audited_tensors(model: nn.Module) -> list[AuditedTensor]:
    """All tensors that are trained; the projector, which images pass first, stands first."""
    found = [
        AuditedTensor(
            name=name, parameter=parameter, group=parameter_group(name), layer=layer_of(name)
        )
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    ]
    return sorted(found, key=lambda tensor: -1 if tensor.layer is None else tensor.layer)


def adapter_names(model: nn.Module) -> list[str]:
    """Full names of all tensors that adapters consist of, trained or not."""
    return [name for name, _ in model.named_parameters() if any(p in name for p in ADAPTER_PARTS)]


def layer_of(name: str) -> int | None:
    """The number of the layer that a tensor or module belongs to."""
    found = LAYER.search(f"{name}.")
    return int(found[1]) if found else None


def short_name(name: str) -> str:
    """layers.0.self_attn.q_proj.lora_A or projector.linear_1.weight, of a full name."""
    if f"{PROJECTOR}." in name:
        return "projector." + name.rpartition("default.")[2]
    bare = name.replace(".default", "").removesuffix(".weight")
    return bare.rpartition(f".{LANGUAGE_MODEL}")[2].removeprefix(WRAPPED)
