"""The baseline of a linear score: ridge regression on frozen features, and its gaps as answers.

P pairs, O orders, N images, T tokens per image, V width of the features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge as RidgeRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from lmol.data.pairs_table import label_shares, pair_weights
from lmol.errors import DataError
from lmol.model.baseline.pooled import PooledEncoder
from lmol.model.baseline.tie_band import fit_band
from lmol.model.pair_model import KnownPart, PairModel

if TYPE_CHECKING:
    from lmol.model.baseline.spec import RidgeSpec

Floats = NDArray[np.float64]


class Ridge(PairModel):
    """A score for each image; the answer follows from the gap of two scores, in either order alike.

    Its tensors are fitted at once: weight and bias of the score, slope and band of the answers.
    """

    frozen_from = "model.encoder.weights"

    def __init__(
        self, encoder: PooledEncoder, settings: RidgeSpec, spec: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.spec, self.encoder, self._settings = spec, encoder, settings
        self.network = encoder.network
        self.weight = nn.Parameter(torch.zeros(encoder.width, device=encoder.device))
        self.bias, self.slope, self.band = (
            nn.Parameter(torch.zeros((), device=encoder.device)) for _ in range(3)
        )

    def scores(self, features: Tensor) -> Tensor:
        """Return predicted scores (...) of features (..., T, V)."""
        return features.mean(-2).to(self.weight.device, torch.float32) @ self.weight + self.bias

    def pair_logits(self, features: Tensor, *, both_orders: bool) -> Tensor:
        """Return logits (P, O, 3) from features (P, 2, T, V)."""
        first, second = self.scores(features).unbind(1)
        lean = self.slope * (first - second)
        logits = torch.stack([lean, -lean, self.band.expand_as(lean)], dim=-1)
        orders = [logits, logits[:, [1, 0, 2]]] if both_orders else [logits]
        return torch.stack(orders, dim=1)

    def fit(self, training: KnownPart, validation: KnownPart) -> dict[str, float]:
        """Fit the score to the training images, and slope and band to the validation pairs.

        The penalty is chosen by inner folds of the training images, which keep a subject's images
        together. Returns the penalty, and R² over the inner folds. Raises DataError without scores.
        """
        search = self._regression(training)
        scaler, regression = (step for _, step in search.best_estimator_.steps)
        weight = regression.coef_ / scaler.scale_
        bias = float(regression.intercept_ - weight @ scaler.mean_)
        gaps = _gaps(weight, validation)
        pairs = validation.pairs
        slope, band = fit_band(gaps, label_shares(pairs), pair_weights(pairs))
        with torch.no_grad():
            for tensor, found in zip(
                (self.weight, self.bias, self.slope, self.band),
                (weight, bias, slope, band),
                strict=True,
            ):
                tensor.copy_(torch.as_tensor(found))
        [penalty] = search.best_params_.values()
        return {"penalty": float(penalty), "inner_r2": float(search.best_score_)}

    def _regression(self, training: KnownPart) -> GridSearchCV:
        """Return the search over the penalties, refitted to all training images with the best."""
        groups = inner_groups(training.images, self._settings.inner_folds)
        vectors, scores = _vectors(training), training.images["score"].to_numpy(np.float64)
        folds = GroupKFold(self._settings.inner_folds).split(vectors, scores, groups)
        pipeline = make_pipeline(StandardScaler(), RidgeRegression())
        grid = {"ridge__alpha": self._settings.penalties}
        return GridSearchCV(pipeline, grid, cv=list(folds), scoring="r2").fit(vectors, scores)


def inner_groups(images: pd.DataFrame, num_folds: int) -> NDArray[np.int64]:
    """Return the group (N,) of each image that no inner fold separates: its subject, or itself.

    Raises DataError without scores, or with fewer groups than folds.
    """
    if "score" not in images:
        raise DataError(
            "model",
            got="ridge, which predicts scores, for images without scores",
            expected="images with scores",
            remedy="use model=pairwise_head, which learns from comparisons",
        )
    groups, subjects = pd.factorize(images["subject" if "subject" in images else "image"])
    if len(subjects) < num_folds:
        raise DataError(
            "model.inner_folds",
            got=f"{num_folds}, for {len(subjects)} training images or subjects",
            expected="at most one inner fold for each",
            remedy="lower model.inner_folds, or add images",
        )
    return groups.astype(np.int64)


def _vectors(part: KnownPart) -> Floats:
    """Return the features of each image as one vector, (N, V)."""
    return part.features.mean(1).double().numpy()


def _gaps(weight: Floats, part: KnownPart) -> Floats:
    """Return the predicted score of the first image of each pair minus that of the second, (P,)."""
    row, scores = pd.Index(part.images["image"]), _vectors(part) @ weight
    first, second = (scores[row.get_indexer(part.pairs[side])] for side in ("img1", "img2"))
    return np.asarray(first - second)
