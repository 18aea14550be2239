"""The table of pairs: made from images and labels, read as distributions, and written as CSV.

n images, P pairs. Columns: img1, img2 and label, the most probable answer; score1 and score2 if the
images have scores; p_first, p_second, p_similar and weight if people voted.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmol.verdict import TITLES, Verdict, label_pairs, verdict_indices

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

SHARES = [f"p_{verdict.name.lower()}" for verdict in Verdict]
WEIGHT = "weight"


def pairs_table(
    images: pd.DataFrame, first: Indices, second: Indices, theta: float
) -> pd.DataFrame:
    """Return the pairs table of images at the given rows of a score table."""
    scores = images["score"].to_numpy()
    return labelled_pairs(images, first, second, label_pairs(scores[first], scores[second], theta))


def labelled_pairs(
    images: pd.DataFrame, first: Indices, second: Indices, labels: Indices
) -> pd.DataFrame:
    """Return the pairs table of images at the given rows. labels: (P,), classes of lmol.verdict."""
    names = images["image"].to_numpy()
    table = pd.DataFrame({"img1": names[first], "img2": names[second]})
    if "score" in images:
        scores = images["score"].to_numpy()
        table = table.assign(score1=scores[first], score2=scores[second])
    return table.assign(label=np.array(TITLES)[labels])


def label_shares(pairs: pd.DataFrame) -> Floats:
    """Return the distribution of each pair's label, shape (P, 3); one-hot if scores give it."""
    if set(SHARES) <= set(pairs):
        return pairs[SHARES].to_numpy(dtype=np.float64)
    return np.eye(len(TITLES))[verdict_indices(pairs["label"])]


def pair_weights(pairs: pd.DataFrame) -> Floats:
    """Return the weight of each pair in the loss, shape (P,); 1 by default."""
    return pairs[WEIGHT].to_numpy(float) if WEIGHT in pairs else np.ones(len(pairs))


def pairs_csv(pairs: pd.DataFrame) -> str:
    """Return a pairs table as CSV text; scores read back exactly.

    Each name and score is formatted once and then repeated, which is several times faster than
    DataFrame.to_csv on the 604,450 pairs of a fold of SCUT-FBP5500.
    """
    columns = [_texts(pairs[name]) for name in pairs.columns]
    lines = map(",".join, zip(*columns, strict=True))
    return "\n".join([",".join(pairs.columns), *lines, ""])


def _texts(column: pd.Series) -> list[str]:
    codes, values = pd.factorize(column)
    frame = pd.DataFrame({"value": values})
    unique = frame.to_csv(index=False, header=False, lineterminator="\0").split("\0")
    return np.array(unique, dtype=object)[codes].tolist()
