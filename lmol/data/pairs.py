"""From scored images to training pairs: the schedules that draw them, and the table of any pairs.

n images, P pairs. A pairs table has the columns img1, img2, score1, score2, label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from lmol.errors import DataError
from lmol.verdict import SCORE_DECIMALS, TITLES, label_pairs

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


class Schedule(Protocol):
    """What `data.schedule` builds."""

    def draw(
        self, scores: Floats, theta: float, rng: np.random.Generator
    ) -> tuple[Indices, Indices]:
        """Indices (P,) of the first and the second image of each training pair."""


@dataclass(frozen=True, kw_only=True)
class BalancedPairs:
    """A third of the pairs for each class; which ones, a subclass says."""

    num_pairs: Annotated[int, Field(ge=3)]

    def draw(
        self, scores: Floats, theta: float, rng: np.random.Generator
    ) -> tuple[Indices, Indices]:
        """Indices of both images; raises DataError where a class has too few pairs."""
        candidates = _Candidates.of(scores, theta)
        similar, different = _class_sizes(self.num_pairs)
        candidates.require(similar, different)
        return candidates.oriented(
            self._similar(candidates, similar, rng),
            self._different(candidates, theta, different, rng),
            rng,
        )

    def _similar(self, candidates: _Candidates, num: int, rng: np.random.Generator) -> Indices:
        raise NotImplementedError

    def _different(
        self, candidates: _Candidates, theta: float, num: int, rng: np.random.Generator
    ) -> Indices:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class UniformPairs(BalancedPairs):
    """Drawn uniformly among the pairs of each class."""

    def _similar(self, candidates: _Candidates, num: int, rng: np.random.Generator) -> Indices:
        return rng.choice(candidates.similar, num, replace=False)

    def _different(
        self, candidates: _Candidates, theta: float, num: int, rng: np.random.Generator
    ) -> Indices:
        return rng.choice(candidates.different, num, replace=False)


@dataclass(frozen=True, kw_only=True)
class IntervalPairs(BalancedPairs):
    """Spread over the gaps |d| within each class.

    First and Second: `num_intervals` intervals of equal width between theta and the largest gap get
    equally many, so that neither easy nor hard pairs crowd out the rest; what a scarce interval
    cannot give, the others do. Similar: `near_ratio` of them have a gap of near_band to theta.
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

    def _different(
        self, candidates: _Candidates, theta: float, num: int, rng: np.random.Generator
    ) -> Indices:
        gaps = candidates.gap[candidates.different]
        edges = np.linspace(theta, gaps.max(), self.num_intervals + 1)[1:-1]
        interval = np.digitize(gaps, edges, right=True)
        members = [candidates.different[interval == k] for k in range(self.num_intervals)]
        sizes = fair_shares([len(member) for member in members], num)
        return _draw_from(members, sizes, rng)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Candidates:
    """All unordered pairs of n images: i < j and gap |d|, shape (n (n - 1) / 2,) each.

    similar, different: positions of the pairs of either kind.
    """

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
            i=i,
            j=j,
            gap=gap,
            higher_first=signed > 0,
            similar=np.flatnonzero(gap <= theta),
            different=np.flatnonzero(gap > theta),
        )

    def require(self, similar: int, different: int) -> None:
        """Raise DataError where there are fewer pairs than that of either kind."""
        if len(self.similar) < similar or len(self.different) < different:
            raise DataError(
                "data.schedule.num_pairs",
                got=f"{similar + different} pairs wanted ({similar} Similar, {different} others)",
                expected=f"at most {_most_pairs(len(self.similar), len(self.different))}: these "
                f"images and theta make {len(self.similar)} Similar pairs and "
                f"{len(self.different)} others",
                remedy="lower data.schedule.num_pairs, change data.theta, or add images",
            )

    def oriented(
        self, similar: Indices, different: Indices, rng: np.random.Generator
    ) -> tuple[Indices, Indices]:
        """First and second image of the chosen pairs, shuffled; First as often as Second."""
        wanted_first = np.arange(len(different)) % 2 == 0
        different = rng.permutation(different)
        flip_different = self.higher_first[different] != wanted_first
        flip_similar = rng.permutation(len(similar)) % 2 == 0
        chosen = np.concatenate([different, similar])
        flip = np.concatenate([flip_different, flip_similar])
        order = rng.permutation(len(chosen))
        chosen, flip = chosen[order], flip[order]
        first = np.where(flip, self.j[chosen], self.i[chosen])
        second = np.where(flip, self.i[chosen], self.j[chosen])
        return first, second


def fair_shares(available: list[int], num: int) -> list[int]:
    """Split `num` as equally as possible: the scarce give all, the others share the rest."""
    shares = [0] * len(available)
    for rank, k in enumerate(sorted(range(len(available)), key=available.__getitem__)):
        shares[k] = min(available[k], num // (len(available) - rank))
        num -= shares[k]
    return shares


def _class_sizes(num_pairs: int) -> tuple[int, int]:
    """Pairs that are Similar, and that are First or Second: a third of all for each class."""
    similar = num_pairs // 3
    return similar, num_pairs - similar


def _most_pairs(similar: int, different: int) -> int:
    """The largest number of pairs whose class sizes are at most these."""
    return min(3 * similar + 2, different + different // 2)


def _draw_from(members: list[Indices], sizes: list[int], rng: np.random.Generator) -> Indices:
    drawn = [rng.choice(m, size, replace=False) for m, size in zip(members, sizes, strict=True)]
    return np.concatenate(drawn)


def training_pairs(
    images: pd.DataFrame, schedule: Schedule, theta: float, seed: int
) -> pd.DataFrame:
    """The pairs that a schedule draws from a score table."""
    first, second = schedule.draw(images["score"].to_numpy(), theta, np.random.default_rng(seed))
    return pairs_table(images, first, second, theta)


def pairs_table(
    images: pd.DataFrame, first: Indices, second: Indices, theta: float
) -> pd.DataFrame:
    """The pairs table of images at the given rows of a score table."""
    names, scores = images["image"].to_numpy(), images["score"].to_numpy()
    verdicts = label_pairs(scores[first], scores[second], theta)
    return pd.DataFrame(
        {
            "img1": names[first],
            "img2": names[second],
            "score1": scores[first],
            "score2": scores[second],
            "label": np.array(TITLES)[verdicts],
        }
    )


def pairs_csv(pairs: pd.DataFrame) -> str:
    """A pairs table as CSV text; scores read back exactly.

    Each name and score is written out once and then repeated, which is several times faster than
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
