"""Score scale for strengths in logits, and the table of a ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lmol.ranking.bradley_terry import BradleyTerryFit, Floats


@dataclass(frozen=True, kw_only=True)
class ScoreScale:
    """The line estimate = intercept + slope * strength; slope in points of score per logit.

    It is fitted to images of the training fold only: a line through the held-out images would use
    their scores, and MAE and RMSE would measure its fit and not the judge. The slope comes from
    validation images, on which the model was not trained: on images that it has memorised the model
    is surer than on new ones, and their slope would be too flat. Strengths are centred within each
    set of images, so the intercept is the score of an average image, best estimated from all images
    of the training fold; held-out images are assumed to be as good on average. Both sets of
    strengths must be shrunk equally (`matched_ties`).
    """

    slope: float
    intercept: float

    @classmethod
    def fit(cls, strengths: Floats, scores: Floats, mean_score: float) -> ScoreScale:
        """Fit the least-squares slope; 0 if all strengths are equal, which define no slope.

        strengths, scores: shape (n,), of validation images. mean_score: of all images of the
        training fold, points of score.
        """
        assert strengths.shape == scores.shape
        deviations = strengths - strengths.mean()
        variation = float(deviations @ deviations)
        slope = 0.0 if np.ptp(strengths) == 0 else float(deviations @ scores) / variation
        return cls(slope=slope, intercept=float(mean_score))

    @classmethod
    def through(cls, strengths: Floats, scores: Floats) -> ScoreScale:
        """Fit the least-squares line through references of known score, ranked among the images.

        strengths, scores: shape (m,). One fit gave the images and the references their strengths,
        by any design of pairs: both are shrunk equally, and no assumption about the quality of the
        images is needed.
        """
        line = cls.fit(strengths, scores, float(scores.mean()))
        return cls(
            slope=line.slope, intercept=line.intercept - line.slope * float(strengths.mean())
        )

    def estimate(self, strengths: Floats) -> Floats:
        """Return points of score, shape of `strengths`, which are centred."""
        return self.intercept + self.slope * strengths


def matched_ties(virtual_ties: float, density: float, target_density: float) -> float:
    """Return virtual ties that shrink strengths as much as `virtual_ties` do at the target density.

    Densities are pairs per image. Virtual ties pull strengths towards 0, the more so the fewer
    comparisons an image has, and validation images have fewer than held-out ones: fitted with the
    same number, their strengths would spread less and the slope would be too steep. The number of
    ties per comparison must match.
    """
    return virtual_ties * density / target_density


def ranking_table(
    images: pd.DataFrame, fit: BradleyTerryFit, scale: ScoreScale | None
) -> pd.DataFrame:
    """Return image, score, strength, stderr, estimate, rank of n images, rank 1 the strongest.

    images: a table in the order of the fit; score and estimate are left out without scores.
    strength and stderr are in logits, estimate on the score scale.
    """
    table = images.filter(["image", "score"])
    table = table.assign(strength=fit.strengths, stderr=fit.standard_errors)
    if scale is not None:
        table["estimate"] = scale.estimate(fit.strengths)
    return with_ranks(table)


def with_ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table in the order of its column strength, with the column rank.

    Images of equal strength share the better rank and stand in order of their id.
    """
    rank = rankdata(-table["strength"], method="min").astype(np.int64)
    return table.assign(rank=rank).sort_values(["rank", "image"], ignore_index=True)
