"""The baselines on the tower of the tiny base, and tiny encoders of stock classes."""

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from lmol.config.schema import Precision
from lmol.data.evaluation_pairs import all_pairs
from lmol.model.baseline.encoders import FrozenEncoder
from lmol.model.baseline.pooled import PooledEncoder
from lmol.model.baseline.spec import PairwiseHeadSpec, RidgeSpec
from lmol.model.features import PixelImages
from lmol.model.pair_model import KnownPart
from tests.tiny import ANSWERS, QUESTION, TINY

TOWER = {
    "_target_": "lmol.model.baseline.encoders.FrozenEncoder",
    "weights": TINY.weights,
    "revision": None,
    "dtype": "fp32",
}
PENALTIES = [0.1, 10.0, 1000.0]
RIDGE = RidgeSpec(encoder=TOWER, penalties=PENALTIES, inner_folds=3, cache_features=True)
HEAD = PairwiseHeadSpec(encoder=TOWER, width=8, dropout=0.0, cache_features=True)


def built(spec: Any) -> Any:
    return spec.build(QUESTION, ANSWERS).eval()


def encoder_of(weights: str | Path) -> PooledEncoder:
    return FrozenEncoder(weights=str(weights), revision=None, dtype=Precision.FP32).load()


def pixels_of(encoder: PooledEncoder, images: pd.DataFrame) -> Tensor:
    return PixelImages(encoder.preprocess, images).read(images["image"].tolist())


def known(images: pd.DataFrame, features: Tensor, theta: float = 0.2) -> KnownPart:
    """A part of a training fold with all its pairs."""
    table = images.reset_index(drop=True)
    return KnownPart(images=table, features=features, pairs=all_pairs(table, theta))


def random_encoder(width: int = 6) -> Any:
    """An encoder whose network is never used: tests give the features."""

    class Given:
        def __init__(self) -> None:
            self.width, self.device, self.network = width, torch.device("cpu"), nn.Identity()

    return Given()
