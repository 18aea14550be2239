"""Ranking of any images: choice of pairs, answers of the judge, strengths and estimates.

n images, of which d differ in content; m references.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from lmol.config.schema import EvalConfig, RankingConfig
from lmol.config.schema import Pairing as Kind
from lmol.errors import DataError
from lmol.evaluation.answers import PROBABILITIES, Floats, average_orders, win_share
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
    Pairing,
    RandomPairs,
    ReferencePairs,
    most_pairs,
    spread_references,
)
from lmol.ranking.scale import ScoreScale, with_ranks
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranker:
    """Ranker of images with one model.

    judging: batch size and memory. references: images of known score that are compared too, which
    gives the images estimates; at most settings.references of them, spread over the scores.
    validation: answers to which the slope of reference pairing is fitted.
    """

    model: PairModel
    settings: RankingConfig
    judging: EvalConfig
    seed: int
    references: References | None
    validation: Validation | None

    def __post_init__(self) -> None:
        """Raise DataError if reference pairing has no references."""
        if self.settings.pairing is Kind.REFERENCE and not self._num_references:
            raise DataError(
                "ranking.references",
                got=f"{self.settings.references}, of a checkpoint that carries "
                f"{len(self.references or ())}",
                expected="at least one reference for ranking.pairing=reference",
                remedy="train with ranking.references=20, or choose another ranking.pairing",
            )

    @property
    def _num_references(self) -> int:
        return min(self.settings.references, len(self.references or ()))

    def rank(self, images: pd.DataFrame) -> RankedImages:
        """Rank images; those of the same content are judged once and share rank and strength.

        images: the table image, path, content, perhaps score; its order has no effect. Raises
        DataError if fewer than two differ, or the comparisons do not connect all.
        """
        in_order = images.sort_values(["content", "image"])
        different = in_order.drop_duplicates("content", ignore_index=True)
        _require_enough(images, different, len(self._chosen or ()))
        fit, comparisons = self._ask(different)
        num = len(different)
        scale = self._scale(fit, num, len(comparisons))
        found = pd.DataFrame({"content": different["content"], "strength": fit.strengths[:num]})
        found["strength"] -= found["strength"].mean()
        found["stderr"] = fit.standard_errors[:num]
        if scale is not None:
            found["estimate"] = scale.estimate(fit.strengths[:num])
        slope = float("nan") if scale is None else scale.slope
        shown = images.filter(["image", "score", "group", "content"])
        table = shown.merge(found, on="content", how="left").drop(columns="content")
        return RankedImages(table=with_ranks(table), comparisons=comparisons, slope=slope)

    @cached_property
    def _chosen(self) -> References | None:
        """Return up to settings.references of the references; None without any."""
        known, num = self.references, self._num_references
        if known is None or num == 0:
            return None
        return known.take(spread_references(known.scores, num))

    def _ask(self, images: pd.DataFrame) -> tuple[BradleyTerryFit, pd.DataFrame]:
        """Return the joint fit of images and references, images first, and the comparisons."""
        names = [f"{row} {name}" for row, name in enumerate(images["image"])]
        store = PixelImages(self.model.encoder.preprocess, images.assign(image=names))
        references = self._chosen
        known = [] if references is None else list(references.names)
        features = None if references is None else references.features
        shown = np.array([*images["image"], *known], dtype=object)
        asked: list[pd.DataFrame] = []
        with progress("Judging", self._most_pairs(len(shown), len(known)), "pairs") as advance:
            size, room = self.judging.batch_pairs, self.judging.memory_gb
            judge = Judge(self.model, names, store, size, features, room)

            def ask(first: Indices, second: Indices) -> Floats:
                averaged = average_orders(judge.compare(first, second, advance))
                table = pd.DataFrame({"img1": shown[first], "img2": shown[second]})
                table[PROBABILITIES] = averaged
                asked.append(table)
                return win_share(averaged)

            rng = np.random.default_rng(self.seed)
            found = pairing_of(self.settings, len(known)).compare(len(shown), ask, rng)
        require_connected(shown.tolist(), found.first, found.second)
        ties = self.settings.virtual_ties
        fit = fit_strengths(len(shown), found.first, found.second, found.win_share, ties)
        return fit, pd.concat(asked, ignore_index=True)

    def _most_pairs(self, num: int, num_references: int) -> int:
        kind = self.settings.pairing
        if kind is Kind.REFERENCE:
            return (num - num_references) * num_references
        return most_pairs(num, num if kind is Kind.ALL else self.settings.pairs_per_image)

    def _scale(self, fit: BradleyTerryFit, num: int, num_pairs: int) -> ScoreScale | None:
        """Return the score scale of the fit; None without references."""
        references = self._chosen
        if references is None:
            return None
        strengths = fit.strengths[num:]
        if self.settings.pairing is not Kind.REFERENCE:
            return ScoreScale.through(strengths, references.scores)
        assert self.validation is not None, "references and validation answers come together"
        # A reference is compared with every image, and is therefore shrunk less than the images.
        ties = self.settings.virtual_ties
        scale = self.validation.scale(ties, num_pairs=num_pairs / 2, num_images=num)
        centre = float(references.scores.mean()) - scale.slope * float(strengths.mean())
        return ScoreScale(slope=scale.slope, intercept=centre)


def pairing_of(settings: RankingConfig, num_references: int) -> Pairing:
    """Return the pairing named by ranking.pairing, for images followed by references."""
    per_image = settings.pairs_per_image
    match settings.pairing:
        case Kind.ALL:
            return AllPairs()
        case Kind.RANDOM:
            return RandomPairs(pairs_per_image=per_image)
        case Kind.REFERENCE:
            return ReferencePairs(num_references=num_references)
    stable, ties = settings.stable, settings.virtual_ties
    return AdaptivePairs(pairs_per_image=per_image, stable=stable, virtual_ties=ties)


def _require_enough(images: pd.DataFrame, different: pd.DataFrame, num_references: int) -> None:
    if len(different) + num_references < 2:
        copies = len(images) - len(different)
        raise DataError(
            "images",
            got="one image" + (f" and {copies} with the same content" if copies else ""),
            expected="at least two different images",
            remedy="add images, or compare it with training images: ranking.pairing=reference",
        )
