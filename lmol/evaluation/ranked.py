"""Strengths from judged pairs, and the score scale from the answers to validation pairs.

V validation pairs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lmol.evaluation.answers import Floats, average_orders, win_share
from lmol.evaluation.calibration import fit_temperature
from lmol.model.checkpoint import unreadable
from lmol.ranking.bradley_terry import BradleyTerryFit, fit_strengths
from lmol.ranking.scale import ScoreScale, matched_ties
from lmol.system.files import UNREADABLE, replacing, write_text
from lmol.verdict import TITLES, Verdict, verdict_indices

TABLE, FACTS = "validation.csv", "validation.json"
ANSWERS = [f"{order}_{v.name.lower()}" for order in ("p", "swapped") for v in Verdict]


def rank_pairs(
    images: pd.Series, pairs: pd.DataFrame, probabilities: Floats, virtual_ties: float
) -> BradleyTerryFit:
    """Return strengths of n named images, in their order, from P judged pairs (P, 2, 3)."""
    row = pd.Index(images)
    first, second = row.get_indexer(pairs["img1"]), row.get_indexer(pairs["img2"])
    wins = win_share(average_orders(probabilities))
    return fit_strengths(len(images), first, second, wins, virtual_ties)


@dataclass(frozen=True, kw_only=True, eq=False)
class Validation:
    """A model's answers about images of its training fold on which it was not trained.

    The score scale and the temperature of a trained model are fitted to these answers.
    pairs: V rows; probabilities: shape (V, 2, 3); mean_score: of all images of the training fold,
    None without scores, and then there is no scale.
    """

    pairs: pd.DataFrame
    probabilities: Floats
    mean_score: float | None

    def scale(self, virtual_ties: float, *, num_pairs: float, num_images: int) -> ScoreScale:
        """Return the score scale of a ranking of num_images from num_pairs with virtual ties."""
        assert self.mean_score is not None, "a score scale needs scores"
        scores = self._scores()
        density = len(self.pairs) / len(scores)
        ties = matched_ties(virtual_ties, density, num_pairs / num_images)
        ranked = rank_pairs(scores["image"], self.pairs, self.probabilities, ties)
        return ScoreScale.fit(ranked.strengths, scores["score"].to_numpy(), self.mean_score)

    def temperature(self) -> float:
        """Return the temperature that calibrates the model's confidence."""
        return fit_temperature(verdict_indices(self.pairs["label"]), self.probabilities)

    def _scores(self) -> pd.DataFrame:
        sides = [
            self.pairs[[f"img{side}", f"score{side}"]].set_axis(["image", "score"], axis=1)
            for side in (1, 2)
        ]
        return pd.concat(sides).drop_duplicates("image").sort_values("image", ignore_index=True)

    def save(self, folder: Path) -> None:
        """Write validation.csv (both orders of each pair as answered) and validation.json."""
        answers = pd.DataFrame(self.probabilities.reshape(-1, 6), columns=ANSWERS)
        with replacing(folder / TABLE) as path:
            table = pd.concat([self.pairs.reset_index(drop=True), answers], axis=1)
            table.to_csv(path, index=False, lineterminator="\n")
        write_text(folder / FACTS, json.dumps({"mean_score": self.mean_score}) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Validation | None:
        """Read the files of `save`; None if absent. Raises CheckpointError if they are damaged."""
        if not (folder / TABLE).is_file() or not (folder / FACTS).is_file():
            return None
        try:
            exact = dict.fromkeys(("img1", "img2", *ANSWERS), str)  # read to the last bit below
            table = pd.read_csv(folder / TABLE, dtype=exact)
            mean = json.loads((folder / FACTS).read_text(encoding="utf-8"))["mean_score"]
            found = cls(
                pairs=table.drop(columns=ANSWERS),
                probabilities=table[ANSWERS].to_numpy(dtype=np.float64).reshape(-1, 2, 3),
                mean_score=None if mean is None else float(mean),
            )
            found._require_whole()
        except UNREADABLE as error:
            raise unreadable(folder, f"{TABLE} or {FACTS}: {error}") from error
        return found

    def _require_whole(self) -> None:
        """Raise ValueError or KeyError if a column, a label or a number cannot be used."""
        if self.pairs.empty or self.pairs[["img1", "img2"]].isna().any(axis=None):
            raise ValueError("no pairs, or one without two images")
        if not self.pairs["label"].isin(TITLES).all():
            raise ValueError("a label that is no answer")
        if not ((self.probabilities >= 0) & (self.probabilities <= 1)).all():
            raise ValueError("probabilities that are not between 0 and 1")
        if self.mean_score is not None:
            scores = self.pairs[["score1", "score2"]].to_numpy(dtype=np.float64)
            if not np.isfinite(scores).all() or not np.isfinite(self.mean_score):
                raise ValueError("scores that are no finite numbers")
