"""The keys and values of a prompt's beginning, computed once and used by many continuations.

U first images, B continuations, A attention heads, L tokens of the prefix, E width of a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, LlavaModel
from transformers.cache_utils import Cache, DynamicLayer

CACHE = "cache" if "cache" in signature(LlavaModel.forward).parameters else "past_key_values"
"""Name of the forward argument that takes a cache; transformers 5.24 introduced "cache"."""


class ReadPrefix(Cache):
    """A cache that continuations read and never grow: it can be used again for the next batch.

    A continuation's own keys and values live for the one layer that needs them, so a batch costs no
    more memory than one layer of it, however deep the model is.
    """

    def __init__(self, prefix: DynamicCache, rows: Tensor) -> None:
        """Store the prefix of U first images. rows: shape (B,), the image of each continuation."""
        read: list[Any] = list(prefix.layers)
        super().__init__(layers=[_ReadLayer(layer.keys, layer.values, rows) for layer in read])


class _ReadLayer(DynamicLayer):
    """One layer: keys and values (U, A, L, E) of the prefixes."""

    def __init__(self, keys: Tensor, values: Tensor, rows: Tensor) -> None:
        super().__init__()
        self.keys, self.values, self.is_initialized = keys, values, True
        self._rows = rows

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Return the prefix of each row, followed by its continuation; store nothing."""
        assert self.keys is not None
        assert self.values is not None
        return self._before(self.keys, key_states), self._before(self.values, value_states)

    def _before(self, prefix: Tensor, states: Tensor) -> Tensor:
        if len(prefix) == 1:
            mine = prefix.expand(len(states), -1, -1, -1)
        else:
            mine = prefix.index_select(0, self._rows)
        return torch.cat([mine, states], dim=-2)


@contextmanager
def last_position_only(layer: nn.Module) -> Iterator[None]:
    """Compute only the last position's output in a model's last layer.

    The attention's output projection and the MLP see only that position; the other positions of the
    layer's output are then meaningless. A layer of an unknown kind stays as it is.
    """
    attention: Any = getattr(layer, "self_attn", None)
    narrowed = [getattr(attention, "o_proj", None), getattr(layer, "mlp", None)]
    if None in narrowed:
        narrowed = []
    hooks = [part.register_forward_pre_hook(_narrow) for part in narrowed if part is not None]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _narrow(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    states, *rest = arguments
    return states[:, -1:], *rest
