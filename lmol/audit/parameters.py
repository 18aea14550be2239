"""Audited tensors with their group, layer and short name, in forward order."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from lmol.model.names import layer_of, short_name, tensor_group


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditedTensor:
    """One trained tensor. layer: its number; None outside numbered layers."""

    name: str
    parameter: nn.Parameter
    group: str
    layer: int | None

    @property
    def short(self) -> str:
        """Return the name that messages and pictures use."""
        return short_name(self.name)


def audited_tensors(model: nn.Module) -> list[AuditedTensor]:
    """Return all trained tensors; those outside of layers, which images pass first, come first."""
    found = [
        AuditedTensor(
            name=name, parameter=parameter, group=tensor_group(name), layer=layer_of(name)
        )
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    ]
    return sorted(found, key=lambda tensor: -1 if tensor.layer is None else tensor.layer)
