"""Training pairs as tensors."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from torch import Tensor
from torch.utils.data import Dataset

from lmol.errors import DataError
from lmol.verdict import TITLES

Pair = tuple[Tensor, Tensor, int]
"""Image A, image B and the verdict index."""


class PairDataset(Dataset["Pair | DataError"]):
    """Row p of a pairs table as (image A, image B, verdict index).

    images: image id to pixels or vision features of that image. An image that cannot be read gives
    its error instead of a pair: of an exception in a worker process torch passes on the text alone.
    """

    def __init__(self, pairs: pd.DataFrame, images: Mapping[str, Tensor]) -> None:
        self._first = pairs["img1"].tolist()
        self._second = pairs["img2"].tolist()
        self._verdicts = [TITLES.index(label) for label in pairs["label"]]
        self._images = images

    def __len__(self) -> int:
        return len(self._verdicts)

    def __getitem__(self, row: int) -> Pair | DataError:
        try:
            first, second = self._images[self._first[row]], self._images[self._second[row]]
        except DataError as error:
            return error
        return first, second, self._verdicts[row]
