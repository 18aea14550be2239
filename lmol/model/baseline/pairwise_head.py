"""The baseline of a small head: what frozen features of single images say about pairs of them.

P pairs, O orders, T tokens per image, V width of the features, K width of the head.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lmol.model.baseline.pooled import PooledEncoder
from lmol.model.pair_model import PairModel

if TYPE_CHECKING:
    from lmol.model.baseline.spec import PairwiseHeadSpec


class PairwiseHead(PairModel):
    """A small network for each image; the answer is a function of the difference of its outputs.

    An odd function gives First and Second, an even one Similar: exchanged images exchange the
    answer.
    """

    frozen_from = "model.encoder.weights"

    def __init__(
        self, encoder: PooledEncoder, settings: PairwiseHeadSpec, spec: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.spec, self.encoder = spec, encoder
        self.network = encoder.network
        self.head = nn.Sequential(
            nn.LayerNorm(encoder.width),
            nn.Linear(encoder.width, settings.width),
            nn.GELU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.width, settings.width, bias=False),  # differences cancel one
        )
        self.lean = nn.Linear(settings.width, 1, bias=False)
        self.near = nn.Linear(settings.width, 1)
        self.to(encoder.device)

    def pair_logits(self, features: Tensor, *, both_orders: bool) -> Tensor:
        """Return logits (P, O, 3) from features (P, 2, T, V)."""
        values = self.head(features.mean(2).to(self.lean.weight.device, torch.float32))
        difference = values[:, 0] - values[:, 1]  # (P, K)
        lean = self.lean(difference.tanh()).squeeze(-1)
        near = self.near(-difference.abs()).squeeze(-1)
        logits = torch.stack([lean, -lean, near], dim=-1)
        orders = [logits, logits[:, [1, 0, 2]]] if both_orders else [logits]
        return torch.stack(orders, dim=1)
