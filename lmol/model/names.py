"""Short names of tensors and modules for tables, pictures and messages.

They need only the full names, so that a table can be read without its model.
"""

from __future__ import annotations

import re

from torch import nn

LAYER = re.compile(r"\.layers\.(\d+)\.")
PROJECTOR = re.compile(r"\b(multi_modal_projector|connector|visual\.merger)\b|\.modules_to_save\.")
"""Names of the projectors of all families; PEFT trains each as a whole module."""

LANGUAGE_MODEL = re.compile(r"\b(language|text)_model\.")
EMBEDDING = "embed_tokens"
WRAPPED = "adapted.base_model.model.model."
"""Prefix that PEFT and our wrapper put before the module names of a base."""

ADAPTER_PARTS = (".lora_A.", ".lora_B.", ".modules_to_save.")
"""Parts of the names of tensors that PEFT trains: adapters and whole modules."""


def tensor_group(name: str) -> str:
    """Return lora_A, lora_B, projector, or the outermost module of a tensor's full name."""
    for group in ("lora_A", "lora_B"):
        if f".{group}." in name:
            return group
    return "projector" if PROJECTOR.search(name) else name.partition(".")[0]


def layer_of(name: str) -> int | None:
    """Return the number of the layer that a tensor or module belongs to."""
    found = LAYER.search(f"{name}.")
    return int(found[1]) if found else None


def short_name(name: str) -> str:
    """Return layers.0.self_attn.q_proj.lora_A or projector.linear_1.weight from a full name."""
    found = PROJECTOR.search(name)
    if found and found.end() < len(name):
        return "projector." + name.rpartition("default.")[2]
    if not LANGUAGE_MODEL.search(name) and WRAPPED not in name:
        return name
    bare = name.replace(".default", "").removesuffix(".weight")
    return LANGUAGE_MODEL.split(bare)[-1].removeprefix(WRAPPED)


def adapter_names(model: nn.Module) -> list[str]:
    """Return the full names of all tensors that adapters consist of, trained or not."""
    return [name for name, _ in model.named_parameters() if any(p in name for p in ADAPTER_PARTS)]
