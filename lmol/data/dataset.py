"""Training pairs as tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lmol.data.labels import label_shares, pair_weights

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
