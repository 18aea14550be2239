"""Batches of pairs, laid out so that splitting a batch never parts a pair from its swap.

P pairs; every tensor has P as its first dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmol.data.dataset import Pair
from lmol.verdict import SWAPPED


@dataclass(frozen=True, kw_only=True)
class PairCollator:
    """Collator that stacks pairs; the comparer makes both orders of each from its two images.

    image_key: the comparer's argument that takes the images, "features" or "pixel_values".
    """

    image_key: str

    def __call__(self, pairs: Sequence[Pair]) -> dict[str, Tensor]:
        """Return images (P, 2, ...), A before B, targets (P, 2, 3) by order, and weights (P,)."""
        images = torch.stack([torch.stack((first, second)) for first, second, _ in pairs])
        stacked = torch.stack([target for _, _, target in pairs])
        shares, weights = stacked[:, :-1], stacked[:, -1]
        targets = torch.stack([shares, shares[:, list(SWAPPED)]], dim=1)
        return {self.image_key: images, "targets": targets, "weights": weights}
