"""Batches of pairs, laid out so that no splitting of a batch parts a pair from its swap.

P pairs; every tensor has P as its first dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmol.verdict import SWAPPED


@dataclass(frozen=True, kw_only=True)
class PairCollator:
    """Stacks pairs; the comparer makes both orders of each out of its two images.

    image_key: the comparer's argument that takes the images, "features" or "pixel_values".
    """

    image_key: str

    def __call__(self, pairs: Sequence[tuple[Tensor, Tensor, int]]) -> dict[str, Tensor]:
        """Images (P, 2, ...), A before B, and targets (P, 2): the verdict of each order."""
        images = torch.stack([torch.stack((first, second)) for first, second, _ in pairs])
        targets = torch.tensor([[verdict, SWAPPED[verdict]] for _, _, verdict in pairs])
        return {self.image_key: images, "targets": targets}
