"""Policies that draw pairs from scored images.

n images, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from lmol.data.data_set import DataSet
from lmol.data.evaluation_pairs import Sample, all_pairs, sampled_pairs
from lmol.data.pairs_table import Floats, Indices, pairs_table
from lmol.errors import DataError
from lmol.verdict import SCORE_DECIMALS


class PairPolicy(Protocol):
    """Interface of the classes that `data.schedule` builds: pairs of images and their labels.

    images: an image table. theta: in points of score, for labels that come from scores.
    """

    def num_dropped(self, data: DataSet, parts: Sequence[pd.DataFrame]) -> int:
        """Return the number of known pairs with images in different parts of a fold."""

    def training(
        self, data: DataSet, images: pd.DataFrame, theta: float, seed: int
    ) -> pd.DataFrame:
        """Return the table of training pairs; raise DataError if there are too few."""

    def evaluation(
        self, data: DataSet, images: pd.DataFrame, theta: float, sample: Sample
    ) -> pd.DataFrame:
        """Return the table of pairs to judge."""


@dataclass(frozen=True, kw_only=True)
class BalancedPairs:
    """Policy for scored images: a third of the training pairs per class, drawn by a subclass."""

    num_pairs: Annotated[int, Field(ge=3)]

    def num_dropped(self, data: DataSet, parts: Sequence[pd.DataFrame]) -> int:
        """Return 0: any two images of a part make a pair."""
        return 0

    def training(
        self, data: DataSet, images: pd.DataFrame, theta: float, seed: int
    ) -> pd.DataFrame:
        """Return the drawn pairs; raise DataError if a class has too few."""
        if "score" not in images:
            raise DataError(
                "data.schedule",
                got="labels from scores, for images without scores",
                expected="images with scores",
                remedy="set data/schedule=votes for a source with comparisons",
            )
        candidates = _Candidates.of(images["score"].to_numpy(), theta)
        rng = np.random.default_rng(seed)
        num_similar = self.num_pairs // 3
        num_different = self.num_pairs - num_similar
        candidates.require(num_similar, num_different)
        similar = self._similar(candidates, num_similar, rng)
        different = self._different(candidates, num_different, rng)
        return pairs_table(images, *candidates.oriented(similar, different, rng), theta)

    def evaluation(
        self, data: DataSet, images: pd.DataFrame, theta: float, sample: Sample
    ) -> pd.DataFrame:
        """Return every unordered pair once, or a sample that connects all images."""
        if sample.num is None:
            return all_pairs(images, theta)
        return sampled_pairs(images, theta, sample)

    def _similar(self, candidates: _Candidates, num: int, rng: np.random.Generator) -> Indices:
        raise NotImplementedError

    def _different(self, candidates: _Candidates, num: int, rng: np.random.Generator) -> Indices:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class UniformPairs(BalancedPairs):
    """Policy that draws uniformly among the pairs of each class."""

    def _similar(self, candidates: _Candidates, num: int, rng: np.random.Generator) -> Indices:
        return rng.choice(candidates.similar, num, replace=False)

    def _different(self, candidates: _Candidates, num: int, rng: np.random.Generator) -> Indices:
        return rng.choice(candidates.different, num, replace=False)


@dataclass(frozen=True, kw_only=True)
class IntervalPairs(BalancedPairs):
    """Policy that spreads the pairs of each class over the gaps |d|.

    First and Second: `num_intervals` intervals of equal width between theta and the largest gap get
    equally many, so that neither easy nor hard pairs crowd out the rest; if an interval has too few
    pairs, the others give more. Similar: `near_ratio` of them have a gap of near_band to theta.
    """

    num_intervals: Annotated[int, Field(ge=1)]
    near_ratio: Annotated[float, Field(ge=0, le=1)]
    near_band: Annotated[float, Field(ge=0)]

    def _similar(self, candidates: _Candidates, num: int, rng: np.random.Generator) -> Indices:
        near = candidates.gap[candidates.similar] >= self.near_band
        available = np.array([near.sum(), (~near).sum()])
        num_near = min(round(self.near_ratio * num), available[0])
        num_near = max(num_near, num - available[1])
        return _draw_from(
            [candidates.similar[near], candidates.similar[~near]], [num_near, num - num_near], rng
        )

    def _different(self, candidates: _Candidates, num: int, rng: np.random.Generator) -> Indices:
        gaps = candidates.gap[candidates.different]
        edges = np.linspace(candidates.theta, gaps.max(), self.num_intervals + 1)[1:-1]
        interval = np.digitize(gaps, edges, right=True)
        members = [candidates.different[interval == k] for k in range(self.num_intervals)]
        sizes = fair_shares([len(member) for member in members], num)
        return _draw_from(members, sizes, rng)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Candidates:
    """All unordered pairs of n images: i < j and gap |d|, shape (n (n - 1) / 2,) each.

    similar, different: positions of the pairs of either kind.
    """

    theta: float
    i: Indices
    j: Indices
    gap: Floats
    higher_first: NDArray[np.bool_]
    similar: Indices
    different: Indices

    @classmethod
    def of(cls, scores: Floats, theta: float) -> _Candidates:
        i, j = np.triu_indices(len(scores), 1)
        signed = np.round(scores[i] - scores[j], SCORE_DECIMALS)
        gap = np.abs(signed)
        return cls(
            theta=theta,
            i=i,
            j=j,
            gap=gap,
            higher_first=signed > 0,
            similar=np.flatnonzero(gap <= theta),
            different=np.flatnonzero(gap > theta),
        )

    def require(self, similar: int, different: int) -> None:
        """Raise DataError if there are fewer pairs of either kind."""
        num_similar, num_different = len(self.similar), len(self.different)
        if num_similar < similar or num_different < different:
            most = min(3 * num_similar + 2, num_different + num_different // 2)
            raise DataError(
                "data.schedule.num_pairs",
                got=f"{similar + different} pairs wanted ({similar} Similar, {different} others)",
                expected=f"at most {most}: these images and theta make {num_similar} Similar pairs "
                f"and {num_different} others",
                remedy="lower data.schedule.num_pairs, change data.theta, or add images",
            )

    def oriented(
        self, similar: Indices, different: Indices, rng: np.random.Generator
    ) -> tuple[Indices, Indices]:
        """Return first and second image of the chosen pairs, shuffled; First as often as Second."""
        wanted_first = np.arange(len(different)) % 2 == 0
        different = rng.permutation(different)
        flip_different = self.higher_first[different] != wanted_first
        flip_similar = rng.permutation(len(similar)) % 2 == 0
        chosen = np.concatenate([different, similar])
        flip = np.concatenate([flip_different, flip_similar])
        order = rng.permutation(len(chosen))
        chosen, flip = chosen[order], flip[order]
        i, j = self.i[chosen], self.j[chosen]
        first, second = np.where(flip, [j, i], [i, j])
        return first, second


def fair_shares(available: list[int], num: int) -> list[int]:
    """Split `num` as equally as possible: the scarce give all, the others share the rest."""
    shares = [0] * len(available)
    for rank, k in enumerate(sorted(range(len(available)), key=available.__getitem__)):
        shares[k] = min(available[k], num // (len(available) - rank))
        num -= shares[k]
    return shares


def _draw_from(members: list[Indices], sizes: list[int], rng: np.random.Generator) -> Indices:
    drawn = [rng.choice(m, size, replace=False) for m, size in zip(members, sizes, strict=True)]
    return np.concatenate(drawn)
