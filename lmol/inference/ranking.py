"""Any images into a ranking: which pairs to ask, what the judge says, and what follows from it.

n images, of which d differ in content; m references.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lmol.config.schema import Pairing as Kind
from lmol.config.schema import RankingConfig
from lmol.errors import DataError
from lmol.evaluation.judge import Judge
from lmol.evaluation.metrics import Floats, average_orders, win_share
from lmol.evaluation.ranked import Validation
from lmol.model.comparer import Comparer
from lmol.model.features import PixelImages
from lmol.ranking.bradley_terry import BradleyTerryFit, Indices, fit_strengths
from lmol.ranking.connectivity import require_connected
from lmol.ranking.pairing import (
    AdaptivePairs,
    AllPairs,
    Comparisons,
    Pairing,
    RandomPairs,
    ReferencePairs,
)
from lmol.ranking.scale import ScoreScale
from lmol.tracking.progress import Advance, progress


@dataclass(frozen=True, kw_only=True, eq=False)
class RankedImages:
    """table: image, score (where it is known), strength, stderr, estimate (where a scale is known),
    rank; strength and stderr in logits, estimate in points of score; the strongest first.

    comparisons: img1, img2, p_first, p_second, p_similar of every pair asked, both orders averaged.
    """

    table: pd.DataFrame
    comparisons: pd.DataFrame

    def _repr_html_(self) -> str:
        return str(self.table.to_html(index=False, float_format="{:.3f}".format))


class Ranker:
    """Ranks images with one comparer. validation: what the score scale is fitted to, if known."""

    def __init__(
        self,
        comparer: Comparer,
        settings: RankingConfig,
        *,
        batch_pairs: int,
        seed: int,
        validation: Validation | None,
    ) -> None:
        self._comparer, self._settings, self._batch = comparer, settings, batch_pairs
        self._seed, self._validation = seed, validation

    def rank(self, images: pd.DataFrame, references: pd.DataFrame | None = None) -> RankedImages:
        """Images of the same content are judged once and share rank and strength.

        images: the table image, path, content, perhaps score. references: score table of m training
        images, for reference pairing. Raises DataError where fewer than two differ, or the
        comparisons leave some apart.
        """
        different = images.drop_duplicates("content", ignore_index=True)
        refs = pd.DataFrame() if references is None else references
        _require_enough(images, different, len(refs))
        asked = self._ask(different, refs)
        fit, comparisons = asked
        strengths = pd.DataFrame(
            {
                "content": different["content"],
                "strength": fit.strengths[: len(different)],
                "stderr": fit.standard_errors[: len(different)],
                **self._estimates(fit, len(different), len(comparisons), refs),
            }
        )
        return RankedImages(table=_table(images, strengths), comparisons=comparisons)

    def _ask(
        self, images: pd.DataFrame, references: pd.DataFrame
    ) -> tuple[BradleyTerryFit, pd.DataFrame]:
        """The joint fit of images and references, images first, and the table of comparisons."""
        both = pd.concat([images, references], ignore_index=True)
        names = [f"{row} {name}" for row, name in enumerate(both["image"])]
        store = PixelImages(self._comparer.base.processor.image_processor, both.assign(image=names))
        asked: list[pd.DataFrame] = []
        with self._progress(len(images), len(references)) as advance:
            judge = Judge(self._comparer, names, store, self._batch)

            def ask(first: Indices, second: Indices) -> Floats:
                averaged = average_orders(judge.compare(first, second, advance))
                shown = both["image"].to_numpy()
                table = pd.DataFrame(averaged, columns=["p_first", "p_second", "p_similar"])
                table.insert(0, "img2", shown[second])
                table.insert(0, "img1", shown[first])
                asked.append(table)
                return win_share(averaged)

            found = self._compared(len(images), len(references), ask)
        require_connected(both["image"].tolist(), found.first, found.second)
        ties = self._settings.virtual_ties
        fit = fit_strengths(len(both), found.first, found.second, found.win_share, ties)
        return fit, pd.concat(asked, ignore_index=True)

    def _compared(self, num_images: int, num_references: int, ask: Any) -> Comparisons:
        if self._settings.pairing is Kind.REFERENCE:
            rows = num_images + np.arange(num_references)
            pairing = ReferencePairs(num_references=num_references)
            return pairing.compare_with_references(num_images, rows, ask)
        return pairing_of(self._settings).compare(
            num_images, ask, np.random.default_rng(self._seed)
        )

    @contextmanager
    def _progress(self, num_images: int, num_references: int) -> Iterator[Advance]:
        kind, budget = self._settings.pairing, self._settings.pairs_per_image
        total = num_images * (num_images - 1) // 2
        if kind is Kind.REFERENCE:
            total = num_images * num_references
        elif kind is not Kind.ALL:
            total = min(total, num_images * budget // 2)
        with progress("Judging", total, "pairs") as advance:
            yield advance

    def _estimates(
        self, fit: BradleyTerryFit, num: int, num_pairs: int, references: pd.DataFrame
    ) -> dict[str, Floats]:
        """Points of score. Without references, images are taken to be as good as those trained on;
        with them, the references' scores say where on the scale the images stand."""
        if self._validation is None:
            return {}
        pairs = num_pairs / 2 if len(references) else num_pairs
        scale = self._validation.scale(self._settings.virtual_ties, num_pairs=pairs, num_images=num)
        strengths = fit.strengths[:num]
        if len(references):
            scale = ScoreScale(slope=scale.slope, intercept=float(references["score"].mean()))
            strengths = strengths - fit.strengths[num:].mean()
        return {"estimate": scale.estimate(strengths)}


def pairing_of(settings: RankingConfig) -> Pairing:
    """What ranking.pairing names, references aside."""
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
    columns = ["image", *(["score"] if "score" in images else [])]
    table = images[[*columns, "content"]].merge(strengths, on="content", how="left")
    table["rank"] = rankdata(-table["strength"], method="min").astype(np.int64)
    table = table.drop(columns="content")
    return table.sort_values(["rank", "image"], ignore_index=True)
