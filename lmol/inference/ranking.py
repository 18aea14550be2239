"""Ranking of any images: choice of pairs, answers of the judge, strengths and estimates.

n images, of which d differ in content; m references.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lmol.config.schema import EvalConfig, RankingConfig
from lmol.config.schema import Pairing as Kind
from lmol.errors import DataError
from lmol.evaluation.answers import Floats, average_orders, win_share
from lmol.evaluation.judge import Judge
from lmol.evaluation.ranked import Validation
from lmol.model.features import PixelImages
from lmol.model.pair_model import PairModel
from lmol.model.references import References
from lmol.ranking.bradley_terry import BradleyTerryFit, Indices, fit_strengths
from lmol.ranking.connectivity import require_connected
from lmol.ranking.pairing import (
    AdaptivePairs,
    AllPairs,
    Ask,
    Comparisons,
    Pairing,
    RandomPairs,
    ReferencePairs,
    spread_references,
)
from lmol.ranking.scale import ScoreScale
from lmol.system.progress import progress


@dataclass(frozen=True, kw_only=True, eq=False)
class RankedImages:
    """Ranking of images, the strongest first.

    table: image, score and group (if known), strength, stderr, estimate (with a scale), rank;
    strength and stderr in logits, estimate in points of score.

    comparisons: img1, img2, p_first, p_second, p_similar of every pair asked, both orders averaged.
    slope: points of score per logit, NaN without a scale.
    """

    table: pd.DataFrame
    comparisons: pd.DataFrame
    slope: float

    def _repr_html_(self) -> str:
        return str(self.table.to_html(index=False, float_format="{:.3f}".format))


class Ranker:
    """Ranker of images with one model.

    judging: batch size and memory. references: images of known score that are compared too, which
    gives the images estimates; at most settings.references of them, spread over the scores.
    validation: answers to which the slope of reference pairing is fitted.
    """

    def __init__(
        self,
        model: PairModel,
        settings: RankingConfig,
        *,
        judging: EvalConfig,
        seed: int,
        references: References | None,
        validation: Validation | None,
    ) -> None:
        self._model, self._settings, self._judging = model, settings, judging
        self._seed, self._validation = seed, validation
        self._references = _chosen(references, settings)

    def rank(self, images: pd.DataFrame) -> RankedImages:
        """Rank images; those of the same content are judged once and share rank and strength.

        images: the table image, path, content, perhaps score; its order has no effect. Raises
        DataError if fewer than two differ, or the comparisons do not connect all.
        """
        in_order = images.sort_values(["content", "image"])
        different = in_order.drop_duplicates("content", ignore_index=True)
        _require_enough(images, different, len(self._references or ()))
        fit, comparisons = self._ask(different)
        num = len(different)
        scale = self._scale(fit, num, len(comparisons))
        found = pd.DataFrame({"content": different["content"], "strength": fit.strengths[:num]})
        found["strength"] -= found["strength"].mean()
        found["stderr"] = fit.standard_errors[:num]
        if scale is not None:
            found["estimate"] = scale.estimate(fit.strengths[:num])
        slope = float("nan") if scale is None else scale.slope
        return RankedImages(table=_table(images, found), comparisons=comparisons, slope=slope)

    def _ask(self, images: pd.DataFrame) -> tuple[BradleyTerryFit, pd.DataFrame]:
        """Return the joint fit of images and references, images first, and the comparisons."""
        names = [f"{row} {name}" for row, name in enumerate(images["image"])]
        store = PixelImages(self._model.encoder.preprocess, images.assign(image=names))
        references = self._references
        shown = np.array(
            [*images["image"], *(references.names if references else ())], dtype=object
        )
        asked: list[pd.DataFrame] = []
        with progress("Judging", self._most_pairs(len(images), len(shown)), "pairs") as advance:
            further = references.features if references else None
            size, room = self._judging.batch_pairs, self._judging.memory_gb
            judge = Judge(self._model, names, store, size, further, room)

            def ask(first: Indices, second: Indices) -> Floats:
                averaged = average_orders(judge.compare(first, second, advance))
                asked.append(_comparisons(shown[first], shown[second], averaged))
                return win_share(averaged)

            found = self._compared(len(images), len(shown), ask)
        require_connected(shown.tolist(), found.first, found.second)
        ties = self._settings.virtual_ties
        fit = fit_strengths(len(shown), found.first, found.second, found.win_share, ties)
        return fit, pd.concat(asked, ignore_index=True)

    def _compared(self, num_images: int, num_all: int, ask: Ask) -> Comparisons:
        if self._settings.pairing is Kind.REFERENCE:
            pairing = ReferencePairs(num_references=num_all - num_images)
            return pairing.compare_with_references(num_images, np.arange(num_images, num_all), ask)
        return pairing_of(self._settings).compare(num_all, ask, np.random.default_rng(self._seed))

    def _most_pairs(self, num_images: int, num_all: int) -> int:
        kind, budget = self._settings.pairing, self._settings.pairs_per_image
        if kind is Kind.REFERENCE:
            return num_images * (num_all - num_images)
        possible = num_all * (num_all - 1) // 2
        return possible if kind is Kind.ALL else min(possible, num_all * budget // 2)

    def _scale(self, fit: BradleyTerryFit, num: int, num_pairs: int) -> ScoreScale | None:
        """Return the score scale of the fit; None without references."""
        references = self._references
        if references is None:
            return None
        strengths = fit.strengths[num:]
        if self._settings.pairing is not Kind.REFERENCE:
            return ScoreScale.through(strengths, references.scores)
        assert self._validation is not None, "references and validation answers come together"
        # A reference has as many comparisons as there are images, and is shrunk less than they are.
        ties = self._settings.virtual_ties
        scale = self._validation.scale(ties, num_pairs=num_pairs / 2, num_images=num)
        centre = float(references.scores.mean()) - scale.slope * float(strengths.mean())
        return ScoreScale(slope=scale.slope, intercept=centre)


def _chosen(references: References | None, settings: RankingConfig) -> References | None:
    """Return up to settings.references of them; DataError if reference pairing has none."""
    num = min(settings.references, len(references or ()))
    if num == 0 and settings.pairing is Kind.REFERENCE:
        raise DataError(
            "ranking.references",
            got=f"{settings.references}, of a checkpoint that carries {len(references or ())}",
            expected="at least one reference for ranking.pairing=reference",
            remedy="train with ranking.references=20, or choose another ranking.pairing",
        )
    if references is None or num == 0:
        return None
    return references.take(spread_references(references.scores, num))


def _comparisons(first: Any, second: Any, averaged: Floats) -> pd.DataFrame:
    table = pd.DataFrame(averaged, columns=["p_first", "p_second", "p_similar"])
    table.insert(0, "img2", second)
    table.insert(0, "img1", first)
    return table


def pairing_of(settings: RankingConfig) -> Pairing:
    """Return the pairing named by ranking.pairing, except reference pairing."""
    if settings.pairing is Kind.ALL:
        return AllPairs()
    if settings.pairing is Kind.RANDOM:
        return RandomPairs(pairs_per_image=settings.pairs_per_image)
    return AdaptivePairs(
        pairs_per_image=settings.pairs_per_image,
        stable=settings.stable,
        virtual_ties=settings.virtual_ties,
    )


def _require_enough(images: pd.DataFrame, different: pd.DataFrame, num_references: int) -> None:
    if len(different) + num_references < 2:
        copies = len(images) - len(different)
        raise DataError(
            "images",
            got="one image" + (f" and {copies} with the same content" if copies else ""),
            expected="at least two different images",
            remedy="add images, or compare it with training images: ranking.pairing=reference",
        )


def _table(images: pd.DataFrame, strengths: pd.DataFrame) -> pd.DataFrame:
    columns = ["image", *(name for name in ("score", "group") if name in images)]
    table = images[[*columns, "content"]].merge(strengths, on="content", how="left")
    table["rank"] = rankdata(-table["strength"], method="min").astype(np.int64)
    table = table.drop(columns="content")
    return table.sort_values(["rank", "image"], ignore_index=True)
