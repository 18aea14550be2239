"""What the frozen tower of a base shows of drawn faces, by ridge regression on its mean features.

    python -m lmol.experiments.bench.tower --weights pkg://lmol.model.tiny_base another/folder

score: Pearson correlation of a linear fit to the scores of 640 faces, on 160 others, five folds.
parameters: mean R2 of linear fits to the parameters that move the score; blemish: the hardest one.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict

from lmol.config.schema import Attention, Precision, Quantization
from lmol.data.sources.faces import FEATURES, FLAWS
from lmol.data.sources.synthetic import PARAMETERS, SyntheticFaces
from lmol.experiments.bench.report import Row, add_options, report
from lmol.model.features import cache_features
from lmol.model.vlm.backbone import LlavaBackbone
from lmol.model.vlm.encoder import VisionTower

PENALTIES = np.logspace(-2, 4, 13)
NUM_IMAGES = 800


def read_off(weights: str, seed: int, folder: Path) -> Row:
    """One base on one data seed."""
    source = SyntheticFaces(root=folder, num_images=NUM_IMAGES, image_size=64, seed=seed)
    features = mean_features(weights, source.load().images)
    drawn = pd.read_csv(source.folder / PARAMETERS)
    r2 = {name: r2_score(drawn[name], fitted(features, drawn[name])) for name in MOVING}
    return {
        "base": Path(weights).name,
        "seed": seed,
        "score": float(np.corrcoef(drawn["score"], fitted(features, drawn["score"]))[0, 1]),
        "parameters": float(np.mean(list(r2.values()))),
        "blemish": float(r2["blemish"]),
    }


MOVING = (*FEATURES, *FLAWS)


def mean_features(weights: str, images: pd.DataFrame) -> NDArray[np.float32]:
    """Vision features of each image, averaged over its patches: (n, V)."""
    backbone = LlavaBackbone(
        weights=weights,
        revision=None,
        dtype=Precision.FP32,
        quantization=Quantization.NONE,
        double_quantization=True,
        attention=Attention.SDPA,
    )
    cached = cache_features(VisionTower(backbone.load()), images, lambda num_images: None)
    mean: NDArray[np.float32] = cached.read(list(cached)).mean(dim=1).numpy()
    return mean


def fitted(features: NDArray[np.float32], target: pd.Series) -> NDArray[np.float64]:
    """What ridge regression predicts of each fold from the four others: (n,)."""
    folds = KFold(5, shuffle=True, random_state=0)
    predicted: NDArray[np.float64] = cross_val_predict(
        RidgeCV(PENALTIES), features, target, cv=folds
    )
    return predicted


def main() -> None:
    """Print a row for each base and data seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", nargs="+", default=["pkg://lmol.model.tiny_base"])
    parser.add_argument("--data-seeds", type=int, nargs="+", default=[1, 2, 3])
    add_options(parser, "tower")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            read_off(weights, seed, Path(folder))
            for weights in arguments.weights
            for seed in arguments.data_seeds
        ]
    report(rows, arguments, "base", ["score", "parameters", "blemish"])


if __name__ == "__main__":
    main()
