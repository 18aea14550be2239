"""Transitivity of the judge's preferences: cyclic triples (Kendall and Babington Smith 1940).

n images, P pairs.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from lmol.evaluation.answers import Floats, win_share
from lmol.evaluation.intervals import pair_matrix
from lmol.evaluation.judged import JudgedPairs
from lmol.evaluation.metrics import Metrics


def triple_metrics(judged: JudgedPairs) -> Metrics:
    """Return cyclic_triples, the cyclic share of the decided triples, and triples, their number.

    A triple is cyclic if a beats b, b beats c and c beats a. Image a beats b if its share of a win,
    averaged over both orders, is above 1/2. The ranking uses the same share, so a slight preference
    decides between two images called Similar. At exactly 1/2 they are tied. A triple with a tie, or
    with a pair that was not asked, is not decided. triples counts all decided ones; cyclic_triples
    is None without any. A judge that tosses coins has 1/4, one that goes by any order of the images
    0.
    """
    share = win_share(judged.averaged)
    winner = np.where(share > 0.5, judged.first, judged.second)
    loser = np.where(share > 0.5, judged.second, judged.first)
    decided = share != 0.5
    ones = np.ones(int(decided.sum()))
    beats = pair_matrix(judged.num_images, winner[decided], loser[decided], ones)
    cyclic = _closed_walks(beats) / 3
    triples = _closed_walks(beats + beats.T) / 6
    return {
        "cyclic_triples": cyclic / triples if triples else None,
        "triples": round(triples),
    }


def _closed_walks(adjacency: Floats | sparse.csr_array) -> float:
    """Return the trace of the third power: walks of three steps that end where they began.

    A directed cycle of three is walked from 3 starts, an undirected triangle also in 2 directions.
    """
    return float(((adjacency @ adjacency) * adjacency.T).sum())
