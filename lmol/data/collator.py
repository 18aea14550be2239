"""Batches of pairs, laid out so that no splitting of a batch parts a pair from its swap.

P pairs; every tensor has P as its first dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lmol.data.dataset import Pair
from lmol.errors import DataError
from lmol.verdict import SWAPPED

FAULT = "fault"
"""The key of a batch that holds an error instead of pairs."""


@dataclass(frozen=True, kw_only=True)
class PairCollator:
    """Stacks pairs; the comparer makes both orders of each out of its two images.

    image_key: the comparer's argument that takes the images, "features" or "pixel_values".
    """

    image_key: str

    def __call__(self, pairs: Sequence[Pair | DataError]) -> dict[str, Any]:
        """Images (P, 2, ...), A before B, and targets (P, 2): the verdict of each order.

        Where an image could not be read, its error alone, under the key FAULT.
        """
        faults = [pair for pair in pairs if isinstance(pair, DataError)]
        return {FAULT: faults[0]} if faults else self._stacked(pairs)  # type: ignore[arg-type]

    def _stacked(self, pairs: Sequence[Pair]) -> dict[str, Tensor]:
        images = torch.stack([torch.stack((first, second)) for first, second, _ in pairs])
        targets = torch.tensor([[verdict, SWAPPED[verdict]] for _, _, verdict in pairs])
        return {self.image_key: images, "targets": targets}
