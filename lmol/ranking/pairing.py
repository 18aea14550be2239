"""Choice of pairs: all, a random part, the next in doubt, or each image against references.

n images, P comparisons, m references. A pairing asks in few large batches, never a pair twice, in
either order, and no image against itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
from pydantic import Field
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from lmol.errors import DataError
from lmol.ranking.bradley_terry import Floats, Indices, centred_strengths

Ask = Callable[[Indices, Indices], Floats]
"""Function from two rows (P,) to win shares in [0, 1] of the first images, shape (P,), both orders
averaged. Each call is one batch of questions to the judge."""

Pairs = tuple[Indices, Indices]

START_PER_IMAGE = 4
"""Comparisons per image before the first ranking that adaptive rounds use. In simulation 2 to 6
give the same result; with only 2, a ring, the first ranking is little better than chance."""

PairsPerImage = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparisons:
    """Pairs and their answers: rows of the images and win share of the first, each (P,)."""

    first: Indices
    second: Indices
    win_share: Floats


class Pairing(Protocol):
    """Interface of `ranking.pairing`."""

    def compare(self, num_images: int, ask: Ask, rng: np.random.Generator) -> Comparisons:
        """Compare rows 0 to num_images - 1; raise DataError if there are fewer than two."""


@dataclass(frozen=True, kw_only=True)
class AllPairs:
    """Every unordered pair once, n (n - 1) / 2 in one batch."""

    def compare(self, num_images: int, ask: Ask, rng: np.random.Generator) -> Comparisons:
        """Compare all pairs of the images; nothing is drawn."""
        _require_two(num_images)
        return _asked(np.triu_indices(num_images, 1), ask)


@dataclass(frozen=True, kw_only=True)
class RandomPairs:
    """Random pairs in one batch, equally many per image, connected from two per image on.

    pairs_per_image: comparisons that an image takes part in; n - 1 of them are all pairs. If n and
    it are odd, one image has one less.
    """

    pairs_per_image: PairsPerImage

    def compare(self, num_images: int, ask: Ask, rng: np.random.Generator) -> Comparisons:
        """Compare the pairs of a random regular design."""
        _require_two(num_images)
        return _asked(_regular_pairs(num_images, self.pairs_per_image, rng), ask)


@dataclass(frozen=True, kw_only=True)
class AdaptivePairs:
    """A random start, then rounds in which every image meets its next neighbour in the ranking.

    pairs_per_image: comparisons of an average image, unless the ranking is stable earlier; images
    at its ends, with neighbours on one side, have fewer. virtual_ties: of the Bradley-Terry fit
    between rounds.

    stable: rounds end early if the Spearman correlation of the ranking with the one from half as
    many comparisons is at least this. The variance of a strength falls as one over the comparisons,
    so halving them moves it as far as it still is from the result of all pairs, and this
    correlation estimates the one with the ranking of all pairs. It errs on the safe side, since
    later rounds ask better pairs (experiments/bench/ranking.py). Two rounds in a row are no
    substitute: they share nearly all of their comparisons and agree long before that.
    """

    pairs_per_image: PairsPerImage
    stable: Annotated[float, Field(gt=0, le=1)]
    virtual_ties: Annotated[float, Field(gt=0)]

    def compare(self, num_images: int, ask: Ask, rng: np.random.Generator) -> Comparisons:
        """Ask batches of about n pairs, until the ranking is stable or the budget is spent."""
        _require_two(num_images)
        budget = most_pairs(num_images, self.pairs_per_image)
        start = min(self.pairs_per_image, START_PER_IMAGE)
        known = _asked(_regular_pairs(num_images, start, rng), ask)
        rankings: list[tuple[int, Floats]] = []
        while known.first.size < budget:
            strengths = self._strengths(num_images, known)
            rankings.append((known.first.size, strengths))
            if _agreement_with_half(rankings) >= self.stable:
                break
            pairs = _neighbours(strengths, known)
            known = _joined(known, _asked(_at_most(budget - known.first.size, pairs, rng), ask))
        return known

    def _strengths(self, num: int, known: Comparisons) -> Floats:
        return centred_strengths(num, known.first, known.second, known.win_share, self.virtual_ties)


@dataclass(frozen=True, kw_only=True)
class ReferencePairs:
    """Every image against the same m references, the last m rows.

    The comparisons of one image do not depend on the other images of the ranking.
    """

    num_references: Annotated[int, Field(ge=1)]

    def compare(self, num_images: int, ask: Ask, rng: np.random.Generator) -> Comparisons:
        """Ask (n - m) m comparisons in one batch, references second; nothing is drawn."""
        num_ranked = num_images - self.num_references
        assert num_ranked >= 1, "an image to rank"
        first = np.repeat(np.arange(num_ranked), self.num_references)
        return _asked((first, np.tile(np.arange(num_ranked, num_images), num_ranked)), ask)


def spread_references(scores: Floats, num: int) -> Indices:
    """Return rows of `num` images spread evenly over the scores, shape (num,), lowest first.

    scores: shape (n,), of training images. The range is cut into `num` bins of equal width; of all
    choices of distinct images, this one lies nearest to their middles. Raises DataError if there
    are fewer than `num` images.
    """
    assert num >= 1
    if scores.size < num:
        raise DataError(
            "ranking.references",
            got=f"{num} references wanted of {scores.size} training images",
            expected="at least as many training images as references",
            remedy="lower ranking.references, or add training images",
        )
    middles = scores.min() + (np.arange(num) + 0.5) / num * np.ptp(scores)
    _, nearest = linear_sum_assignment(np.abs(scores - middles[:, None]))
    return np.asarray(nearest)


def _require_two(num_images: int) -> None:
    if num_images < 2:
        raise DataError(
            "ranking",
            got=f"{num_images} image{'' if num_images == 1 else 's'} to compare",
            expected="at least two, since a comparison needs a pair",
            remedy="add images, or lower fold.k so that a fold holds out more of them",
        )


def _asked(pairs: Pairs, ask: Ask) -> Comparisons:
    first, second = pairs
    win_share = ask(first, second)
    assert win_share.shape == first.shape, "one win share for each pair asked"
    return Comparisons(first=first, second=second, win_share=win_share)


def _joined(one: Comparisons, other: Comparisons) -> Comparisons:
    return Comparisons(
        first=np.concatenate([one.first, other.first]),
        second=np.concatenate([one.second, other.second]),
        win_share=np.concatenate([one.win_share, other.win_share]),
    )


def most_pairs(num: int, pairs_per_image: int) -> int:
    """Return the number of pairs if each of `num` images takes part in so many, at most all."""
    return num * min(pairs_per_image, num - 1) // 2


def _regular_pairs(num: int, per_image: int, rng: np.random.Generator) -> Pairs:
    """Pair each image with those at some random distances along a random circle.

    Each distance gives every image two pairs and no pair is at two distances, so degrees are equal
    and pairs distinct by construction, at any density. Distance 1 is always among them and
    connects. An odd number ends with half a turn, which pairs every image once.
    """
    turns, half = divmod(min(per_image, num - 1), 2)
    further = np.setdiff1d(np.arange(2, (num - 1) // 2 + 1), [num // 2] * half)
    distances = np.append([1], rng.permutation(further))[:turns]
    ahead = np.add.outer(distances, np.arange(num)).ravel() % num
    opposite = np.arange(half * (num // 2))
    circle = rng.permutation(num)
    first = np.concatenate([np.tile(np.arange(num), turns), opposite])
    second = np.concatenate([ahead, opposite + num // 2])
    return circle[first], circle[second]


def _neighbours(strengths: Floats, known: Comparisons) -> Pairs:
    """Pair every image with the next weaker one that it has not met, in a few n^2 bytes.

    A pair exists as long as not all are asked: the stronger image of an unasked pair has one.
    """
    order = np.argsort(-strengths, kind="stable")
    place = np.argsort(order)
    free = np.triu(np.ones((order.size, order.size), dtype=np.bool_), 1)
    one, other = place[known.first], place[known.second]
    free[np.minimum(one, other), np.maximum(one, other)] = False
    above = np.flatnonzero(free.any(axis=1))
    return order[above], order[free[above].argmax(axis=1)]


def _at_most(num: int, pairs: Pairs, rng: np.random.Generator) -> Pairs:
    first, second = pairs
    kept = np.sort(rng.permutation(first.size)[:num])
    return first[kept], second[kept]


def _agreement_with_half(rankings: Sequence[tuple[int, Floats]]) -> float:
    """Correlate (Spearman) the last ranking with the latest of at most half its comparisons.

    rankings: number of comparisons and strengths after each round. -1 if none is so early.
    """
    num, last = rankings[-1]
    earlier = [strengths for size, strengths in rankings if size <= num / 2]
    return _spearman(earlier[-1], last) if earlier else -1.0


def _spearman(one: Floats, other: Floats) -> float:
    """Return the Spearman correlation; 1 if both rankings are constant, 0 if exactly one is."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float(np.ptp(one) == np.ptp(other))
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])
