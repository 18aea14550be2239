"""The trained bridge from vision features to the language model's embedding space."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn


class LMOLProjector(nn.Module):
    """Linear, GELU (tanh), Linear, freshly initialised: Xavier weights, zero biases.

    The parameters carry the names of LLaVA's own projector (linear_1, linear_2), so that a stock
    LLaVA whose `projector_hidden_act` is "gelu_pytorch_tanh" computes the same from our checkpoint.
    """

    def __init__(self, vision_size: int, text_size: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(vision_size, text_size)
        self.act = nn.GELU(approximate="tanh")
        self.linear_2 = nn.Linear(text_size, text_size)
        for linear in (self.linear_1, self.linear_2):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, image_features: Tensor) -> Tensor:
        """Return embeddings (..., T, H) of vision features (..., T, V)."""
        hidden: Tensor = self.linear_2(self.act(self.linear_1(image_features)))
        return hidden


def fresh_like(own: nn.Module) -> nn.Module:
    """Return a module of the same class, freshly initialised: Xavier weights, zero biases.

    Weights of norms keep their start: their class knows it.
    """
    fresh = copy.deepcopy(own)
    for module in fresh.modules():
        reset: Any = getattr(module, "reset_parameters", None)
        if reset is not None:
            reset()
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
            elif name == "bias" and isinstance(module, nn.Linear):
                nn.init.zeros_(parameter)
    return fresh
