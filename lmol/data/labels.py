"""Labels of pairs: distributions over the three answers, which are one-hot if scores give them.

P pairs. A pairs table has img1, img2 and label, the most probable answer; score1 and score2 if
the images have scores; p_first, p_second, p_similar and weight if people voted.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmol.verdict import TITLES, Verdict, verdict_indices

SHARES = [f"p_{verdict.name.lower()}" for verdict in Verdict]
WEIGHT = "weight"


def label_shares(pairs: pd.DataFrame) -> NDArray[np.float64]:
    """Return the distribution of each pair's label, shape (P, 3), classes as in lmol.verdict."""
    if set(SHARES) <= set(pairs):
        return pairs[SHARES].to_numpy(dtype=np.float64)
    return np.eye(len(TITLES))[verdict_indices(pairs["label"])]


def pair_weights(pairs: pd.DataFrame) -> NDArray[np.float64]:
    """Return the weight of each pair in the loss, shape (P,); 1 by default."""
    return pairs[WEIGHT].to_numpy(float) if WEIGHT in pairs else np.ones(len(pairs))
