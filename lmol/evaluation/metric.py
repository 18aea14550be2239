"""Record of a metric: name, places that show it, and the data it is computed from.

P pairs, n images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Flag, auto
from functools import cached_property

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from lmol.evaluation.answers import Classes, Floats, average_orders
from lmol.verdict import Verdict, most_probable


class Shown(Flag):
    """The places that show a metric in addition to metrics.json."""

    NOWHERE = 0
    VALIDATION = auto()  # every validation of a training
    END = auto()  # the last lines of a command
    FOLDS = auto()  # the table over the folds of a sweep
    SETTINGS = auto()  # the table over the settings of a sweep
    REPORT = auto()
    CARD = auto()  # the card of an exported model
    EVERYWHERE = VALIDATION | END | FOLDS | SETTINGS | REPORT | CARD


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedFold:
    """The answers about a fold, and its ranking.

    truth: verdict indices (P,). probabilities (P, 2, 3). scores, strengths, estimates: of n images,
    shape (n,); None without scores, or without a scale for estimates.
    """

    truth: Classes = field(default_factory=lambda: np.empty(0, np.int64))
    probabilities: Floats = field(default_factory=lambda: np.empty((0, 2, 3)))
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


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric. title: for tables and pages. name: in words, for longer lines.

    compute: None if another part of the evaluation returns it (calibration). needs: fields of
    JudgedFold that must be known, such as scores; a metric without needs is of the pairs.
    """

    key: str
    title: str
    compute: Callable[[JudgedFold], float | None] | None
    shown: Shown = Shown.NOWHERE
    name: str = ""
    low_is_good: bool = False
    needs: tuple[str, ...] = ()

    def known(self, judged: JudgedFold) -> bool:
        """Return whether all needed fields are known; for a metric of pairs, whether any exist."""
        known = [getattr(judged, name) is not None for name in self.needs]
        return all(known) if known else judged.truth.size > 0
