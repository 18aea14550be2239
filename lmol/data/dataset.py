"""Training pairs as tensors."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from torch import Tensor
from torch.utils.data import Dataset

from lmol.verdict import TITLES


class PairDataset(Dataset[tuple[Tensor, Tensor, int]]):
    """Row p of a pairs table as (image A, image B, verdict index).

    images: image id to pixels or vision features of that image.
    """

    def __init__(self, pairs: pd.DataFrame, images: Mapping[str, Tensor]) -> None:
        self._first = pairs["img1"].tolist()
        self._second = pairs["img2"].tolist()
        self._verdicts = [TITLES.index(label) for label in pairs["label"]]
        self._images = images

    def __len__(self) -> int:
        return len(self._verdicts)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor, int]:
        first, second = self._first[row], self._second[row]
        return self._images[first], self._images[second], self._verdicts[row]
