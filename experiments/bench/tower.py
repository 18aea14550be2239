"""Information about drawn faces in a base's frozen tower, by ridge regression on mean features.

    python -m lmol.experiments.bench.tower --weights pkg://lmol.model.tiny_base another/folder

score: Pearson correlation of a linear fit to the scores of 640 faces, on 160 others, five folds.
parameters: mean R2 of linear fits to the parameters that change the score; blemish: the hardest.
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

from lmol.config.schema import Precision
from lmol.data.sources.faces import FEATURES, FLAWS
from lmol.data.sources.synthetic import PARAMETERS, SyntheticFaces
from lmol.experiments.bench.llava_shape import EMBEDDED, backbone
from lmol.experiments.bench.report import Row, add_options, report
from lmol.model.features import cache_features
from lmol.model.vlm.encoder import VisionTower

PENALTIES = np.logspace(-2, 4, 13)
NUM_IMAGES = 800


def read_off(weights: str, seed: int, folder: Path) -> Row:
    """Return the row of one base and one data seed."""
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
    """Return the vision features of each image, averaged over its patches, shape (n, V)."""
    base = backbone(weights, "none", Precision.FP32).load()
    cached = cache_features(VisionTower(base), images, lambda num_images: None)
    mean: NDArray[np.float32] = cached.read(list(cached)).mean(dim=1).numpy()
    return mean


def fitted(features: NDArray[np.float32], target: pd.Series) -> NDArray[np.float64]:
    """Return the predictions (n,) of ridge regression for each fold, fitted on the four others."""
    folds = KFold(5, shuffle=True, random_state=0)
    predicted: NDArray[np.float64] = cross_val_predict(
        RidgeCV(PENALTIES), features, target, cv=folds
    )
    return predicted


def main() -> None:
    """Measure each base on each data seed, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", nargs="+", default=[EMBEDDED])
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
