"""Input of the metrics of a fold.

P pairs, n images.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from lmol.evaluation.answers import Classes, Floats, average_orders
from lmol.verdict import Verdict, most_probable


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedFold:
    """The answers about a fold, and its ranking.

    truth: verdict indices (P,). probabilities (P, 2, 3). scores, strengths, estimates: of n images,
    shape (n,); None without scores, or without a scale for estimates.
    """

    truth: Classes
    probabilities: Floats
    scores: Floats | None = None
    strengths: Floats | None = None
    estimates: Floats | None = None

    @cached_property
    def answer(self) -> Classes:
        """Return the most probable answer of both orders averaged, shape (P,)."""
        return most_probable(average_orders(self.probabilities))

    @cached_property
    def per_class(self) -> tuple[Floats, Floats]:
        """Return precision and recall of each class, shape (3,); NaN where not defined."""
        precision, recall, _, _ = precision_recall_fscore_support(
            self.truth, self.answer, labels=list(Verdict), zero_division=np.nan
        )
        return precision, recall
