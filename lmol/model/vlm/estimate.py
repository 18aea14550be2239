"""Memory and work of a training step, found out before any weight is read.

The model is built without storage (torch's meta device), and a step of its language model is run
there: shapes are known, numbers are not computed. Work is counted as floating-point operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode
from transformers import AttentionInterface, AutoModelForImageTextToText

from lmol.model.load import Load
from lmol.model.vlm.adapter import with_adapters
from lmol.model.vlm.base import Base

if TYPE_CHECKING:
    from lmol.model.vlm.spec import LoraConfig

NF4_BYTES = 0.5 + 0.127 / 8
"""Bytes of a number in NF4 with double quantisation: 4 bits, and 0.127 for its scales."""

ORDERS = 2
FUSED = "lmol_fused"


def load_of(
    config: Any, family: type[Base], lora: LoraConfig, tokens: int, form: tuple[torch.dtype, str]
) -> Load:
    """Return the load of a model. config: its stock configuration; tokens: of a prompt.

    form: number type of the weights, and the quantization of the language model.
    """
    dtype, quantization = form
    with torch.device("meta"):
        model: Any = AutoModelForImageTextToText.from_config(
            config, dtype=dtype, attn_implementation=FUSED
        )
        model.requires_grad_(False)
        weights = _weights(model, family, quantization)
        parameters = sum(one.numel() for one in model.parameters())
        adapted = with_adapters(model, lora, family.projector_path)
        trained = sum(one.numel() for one in adapted.parameters() if one.requires_grad)
        language = model.get_submodule(family.language_path)
        with FlopCounterMode(display=False) as counted:
            whole = _saved(language, config, tokens, dtype)
        layer = language.layers[0]
        language.layers = nn.ModuleList([layer])
        one = _saved(language, config, tokens, dtype)
    num_layers = config.get_text_config().num_hidden_layers
    a_layer = (whole - one) // max(num_layers - 1, 1)
    width = config.get_text_config().hidden_size
    kept = num_layers * ORDERS * tokens * width * dtype.itemsize
    return Load(
        parameters=parameters,
        trained=trained,
        tokens=tokens,
        weights=weights,
        activations=whole,
        recomputed=kept + a_layer + (one - a_layer),
        flop=counted.get_total_flops() + _attention_flop(config.get_text_config(), tokens),
    )


class _Fused(torch.autograd.Function):
    """Attention as fused kernels do it: they save inputs and output, and no weights (L, L)."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = torch.empty_like(query)
        ctx.save_for_backward(query, key, value, output)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(one) for one in ctx.saved_tensors[:3])


def _fused_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **more: Any
) -> tuple[Tensor, None]:
    """Return an output of the right shape (B, L, heads, width) without computing it."""
    return _Fused.apply(query, key, value).transpose(1, 2).contiguous(), None


AttentionInterface.register(FUSED, _fused_attention)


def _attention_flop(text: Any, tokens: int) -> int:
    """Return the operations of attention in a step: 4 L^2 width forward, 2.5 times that back."""
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    forward = 4 * tokens**2 * text.num_attention_heads * width
    return int(3.5 * ORDERS * text.num_hidden_layers * forward)


def _weights(model: nn.Module, family: type[Base], quantization: str) -> int:
    """Return the bytes of all weights at rest."""
    share = {"none": None, "int8": 1.0, "nf4": NF4_BYTES}[quantization]
    total = 0.0
    inside = f"{family.language_path}."
    linear = {f"{n}.weight" for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    for name, one in model.named_parameters():
        quantised = share is not None and name in linear and name.startswith(inside)
        total += one.numel() * (share if quantised and share else one.element_size())
    return int(total)


def _saved(language: nn.Module, config: Any, tokens: int, dtype: torch.dtype) -> int:
    """Run a step of both orders of a pair; return the bytes that its forward saves."""
    width = config.get_text_config().hidden_size
    weights = {one.untyped_storage()._cdata for one in language.parameters()}
    sizes: dict[int, int] = {}
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights and storage._cdata not in sizes:
            kept.append(tensor)  # so that no other storage takes its place
            sizes[storage._cdata] = storage.nbytes()
        return tensor

    embedded = torch.empty(ORDERS, tokens, width, dtype=dtype, requires_grad=True)
    mask = torch.ones(1, 1, tokens, tokens, dtype=torch.bool)  # causal or not: the same work
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        states = language(
            inputs_embeds=embedded, attention_mask=mask, use_cache=False
        ).last_hidden_state
    states.float().sum().backward()
    return sum(sizes.values())
