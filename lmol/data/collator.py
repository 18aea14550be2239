"""Training pairs as tensors, and batches of them that never part a pair from its swap.

P pairs; every tensor of a batch has P as its first dimension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lmol.data.pairs_table import label_shares, pair_weights
from lmol.verdict import SWAPPED

Pair = tuple[Tensor, Tensor, Tensor]


class PairDataset(Dataset[Pair]):
    """Data set whose item p is row p of a pairs table, as (image A, image B, target).

    A target has shape (4,): the label's distribution, classes as in lmol.verdict, and the pair's
    weight. images: image id to pixels or vision features of that image.
    """

    def __init__(self, pairs: pd.DataFrame, images: Mapping[str, Tensor]) -> None:
        self._first = pairs["img1"].tolist()
        self._second = pairs["img2"].tolist()
        targets = np.column_stack([label_shares(pairs), pair_weights(pairs)])
        self._targets = torch.from_numpy(targets.astype(np.float32))
        self._images = images

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, row: int) -> Pair:
        first, second = self._first[row], self._second[row]
        return self._images[first], self._images[second], self._targets[row]


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
