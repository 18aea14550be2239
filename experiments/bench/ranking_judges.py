"""Judges for the measurements of ranking: a simulated one, and that of a finished run.

n images. Both have the answers to all pairs in a table, so a comparison costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from lmol.errors import DataError
from lmol.ranking.bradley_terry import Floats, Indices

SCORE_SD, THETA = 0.69, 0.2
"""SD of the scores of SCUT-FBP5500, and largest gap of Similar pairs, in points of score."""

IMAGE_ERROR, PAIR_ERROR = 0.27, 0.25
"""SD, in points of score, of a judge's error for an image and of its further error for a pair.

With the first, its ranking from all pairs has a Pearson correlation of .93 with the scores. The
second is a cautious guess: it is far smaller in the built-in example, where fewer comparisons are
enough.
"""

SOFTNESS = 0.13
"""Scale of the ordered logit, in points of score: with the pair errors, the average win share at a
gap of .57 is .95; that of the built-in example is .96."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judge:
    """The answers to all pairs of n images.

    scores: shape (n,), used to choose references. win_share: shape (n, n), of the row's image over
    the column's, averaged over both orders.
    """

    name: str
    scores: Floats
    win_share: Floats

    def __call__(self, first: Indices, second: Indices) -> Floats:
        """Return the win shares of the first images, shape (P,)."""
        return np.asarray(self.win_share[first, second])


def simulated_judge(num: int, seed: int, pair_error: float = PAIR_ERROR) -> Judge:
    """Return a judge that answers by an ordered logit with a Similar class.

    A win share is (1 + p(First) - p(Second)) / 2.
    """
    rng = np.random.default_rng(seed)
    scores = rng.normal(0.0, SCORE_SD, num)
    seen = scores + rng.normal(0.0, IMAGE_ERROR, num)
    error = np.triu(rng.normal(0.0, pair_error, (num, num)), 1)
    gap = seen[:, None] - seen + error - error.T
    first, second = expit((gap - THETA) / SOFTNESS), expit((-gap - THETA) / SOFTNESS)
    return Judge(name="simulated", scores=scores, win_share=(1 + first - second) / 2)


def judge_of_run(predictions: Path) -> Judge:
    """Return the judge of a run: its predictions.csv and, for the scores, its ranking.csv.

    Raises DataError if the run did not judge every pair, or if the files are of different runs.
    """
    asked, images = pd.read_csv(predictions), pd.read_csv(predictions.with_name("ranking.csv"))
    row = pd.Index(images["image"])
    first, second = row.get_indexer(asked["img1"]), row.get_indexer(asked["img2"])
    win_share = np.full((len(row), len(row)), np.nan)
    np.fill_diagonal(win_share, 0.5)
    win_share[first, second] = (1 + asked["p_first"] - asked["p_second"]) / 2
    win_share[second, first] = 1 - win_share[first, second]
    foreign = asked.loc[(first < 0) | (second < 0)]
    if len(foreign):
        raise DataError(
            predictions,
            got=f"{', '.join(foreign[['img1', 'img2']].iloc[0])}, not both in ranking.csv",
            expected="predictions of the images in the ranking.csv of the same folder",
            remedy="name the predictions.csv of one run, in its folder",
        )
    if np.isnan(win_share).any():
        raise DataError(
            predictions,
            got=f"{len(asked)} pairs of {len(row)} images",
            expected="every pair of the images in ranking.csv",
            remedy="name a run with eval.pairs=all",
        )
    return Judge(name="run", scores=images["score"].to_numpy(), win_share=win_share)
