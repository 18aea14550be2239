from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit
from scipy.stats import spearmanr

from lmol.errors import DataError
from lmol.ranking.bradley_terry import Floats, Indices, centred_strengths
from lmol.ranking.pairing import (
    START_PER_IMAGE,
    AdaptivePairs,
    AllPairs,
    Comparisons,
    Pairing,
    RandomPairs,
    ReferencePairs,
    spread_references,
)


@dataclass
class Judge:
    """Soft answers to gaps of quality, with an independent error in each pair.

    batches: the pairs of each call.
    """

    num: int
    seed: int = 0
    pair_error: float = 0.5
    batches: list[tuple[Indices, Indices]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.quality = rng.normal(0.0, 3.0, self.num)
        self.error = rng.normal(0.0, self.pair_error, (self.num, self.num))

    def __call__(self, first: Indices, second: Indices) -> Floats:
        self.batches.append((first, second))
        gap = self.quality[first] - self.quality[second]
        return np.asarray(expit(gap + self.error[first, second] - self.error[second, first]))


def adaptive(per_image: int, stable: float = 1.0) -> AdaptivePairs:
    return AdaptivePairs(pairs_per_image=per_image, stable=stable, virtual_ties=1.0)


def compare(pairing: Pairing, judge: Judge, seed: int = 0) -> Comparisons:
    return pairing.compare(judge.num, judge, np.random.default_rng(seed))


def fitted(num: int, asked: Comparisons) -> Floats:
    return centred_strengths(num, asked.first, asked.second, asked.win_share, 1.0)


def degrees(num: int, first: Indices, second: Indices) -> NDArray[np.int64]:
    return np.bincount(np.concatenate([first, second]), minlength=num)


def is_connected(num: int, first: Indices, second: Indices) -> bool:
    graph = coo_array((np.ones(first.size), (first, second)), shape=(num, num))
    return bool(connected_components(graph, directed=False)[0] == 1)


PAIRINGS = [
    AllPairs(),
    *(RandomPairs(pairs_per_image=k) for k in (1, 2, 3, 4, 7, 100)),
    *(adaptive(k) for k in (1, 2, 3, 5, 7, 100)),
]


@pytest.mark.parametrize("pairing", PAIRINGS, ids=str)
@pytest.mark.parametrize("num", [2, 3, 4, 5, 8, 9, 30, 31])
def test_pairs_are_distinct_and_as_many_as_the_budget(pairing: Pairing, num: int) -> None:
    judge = Judge(num)
    asked = compare(pairing, judge)
    low, high = np.minimum(asked.first, asked.second), np.maximum(asked.first, asked.second)
    assert ((low >= 0) & (low < high) & (high < num)).all()
    assert np.unique(low * num + high).size == low.size
    per_image = min(getattr(pairing, "pairs_per_image", num), num - 1)
    assert low.size == num * per_image // 2
    np.testing.assert_array_equal(asked.win_share, judge(asked.first, asked.second))


@pytest.mark.parametrize("per_image", [2, 3, 4, 7, 100])
@pytest.mark.parametrize("num", [2, 3, 4, 5, 8, 9, 30, 31])
def test_random_pairs_connect_and_ask_every_image_equally_often(num: int, per_image: int) -> None:
    asked = compare(RandomPairs(pairs_per_image=per_image), Judge(num))
    assert is_connected(num, asked.first, asked.second)
    wanted = min(per_image, num - 1)
    missing = wanted - degrees(num, asked.first, asked.second)
    assert missing.min() == 0
    assert missing.sum() == num * wanted % 2


def test_random_pairs_are_drawn_by_their_seed_and_no_pair_is_favoured() -> None:
    pairing, times = RandomPairs(pairs_per_image=3), np.zeros((8, 8))
    for seed in range(600):
        asked = compare(pairing, Judge(8), seed)
        np.add.at(times, (asked.first, asked.second), 1)
        np.add.at(times, (asked.second, asked.first), 1)
    expected, spread = 600 * 3 / 7, np.sqrt(600 * 3 / 7 * 4 / 7)
    assert np.abs(times[np.triu_indices(8, 1)] - expected).max() < 4 * spread
    once, again = (compare(pairing, Judge(8), 5) for _ in range(2))
    np.testing.assert_array_equal(once.first, again.first)


def test_adaptive_pairs_start_connected_and_balanced_and_go_on_in_large_batches() -> None:
    judge = Judge(40)
    compare(adaptive(20), judge)
    start = judge.batches[0]
    assert is_connected(40, *start)
    assert (degrees(40, *start) == START_PER_IMAGE).all()
    assert all(first.size > 20 for first, _ in judge.batches[1:-1])
    assert len(judge.batches) <= 12


def test_adaptive_rounds_meet_the_next_weaker_image_not_yet_met() -> None:
    judge = Judge(60)
    asked = compare(adaptive(8), judge)
    start, round_1 = judge.batches[:2]
    num = start[0].size
    order = np.argsort(-centred_strengths(60, *start, asked.win_share[:num], 1.0))
    met = {frozenset(pair) for pair in zip(*start, strict=True)}
    expected = set()
    for place, image in enumerate(order):
        weaker = [other for other in order[place + 1 :] if frozenset((image, other)) not in met]
        expected |= {(image, weaker[0])} if weaker else set()
    assert set(zip(*round_1, strict=True)) == expected


@pytest.mark.parametrize("seed", range(3))
def test_adaptive_pairs_rank_better_than_as_many_random_ones(seed: int) -> None:
    judge = Judge(200, seed)
    best = fitted(200, compare(AllPairs(), judge))
    pairings: tuple[Pairing, Pairing] = (adaptive(12), RandomPairs(pairs_per_image=12))
    agreed = [spearmanr(fitted(200, compare(p, judge)), best).statistic for p in pairings]
    assert 1 - agreed[0] < 0.7 * (1 - agreed[1])


@pytest.mark.parametrize("stable", [0.97, 0.99])
def test_rounds_end_early_and_no_sooner_than_the_ranking_is_as_stable_as_asked(
    stable: float,
) -> None:
    for seed in range(5):
        judge = Judge(150, seed, pair_error=1.5)
        asked = compare(adaptive(149, stable), judge)
        assert asked.first.size < 0.4 * 150 * 149 / 2
        everything = fitted(150, compare(AllPairs(), judge))
        assert spearmanr(fitted(150, asked), everything).statistic >= stable


def test_a_higher_stability_asks_more() -> None:
    sizes = [compare(adaptive(149, s), Judge(150)).first.size for s in (0.95, 0.99, 0.999)]
    assert sizes[0] < sizes[1] < sizes[2]


def test_a_judge_without_preferences_is_stable_once_the_start_is_doubled() -> None:
    asked = adaptive(39, 0.99).compare(
        40, lambda first, _: np.full(first.size, 0.5), np.random.default_rng(0)
    )
    assert 2 * 80 <= asked.first.size <= 2 * 80 + 40


@pytest.mark.parametrize("num", [0, 1])
@pytest.mark.parametrize("pairing", [AllPairs(), RandomPairs(pairs_per_image=2), adaptive(2)])
def test_fewer_than_two_images_cannot_be_compared(pairing: Pairing, num: int) -> None:
    got = f"ranking: got {num} image{'s' * (num == 0)} to compare; expected at least two, since"
    with pytest.raises(DataError, match=f"{got}.*\n  -> add images, or lower fold.k"):
        compare(pairing, Judge(num))


def test_every_image_meets_every_reference_once() -> None:
    judge = Judge(6)
    asked = compare(ReferencePairs(num_references=2), judge)
    assert len(judge.batches) == 1
    pairs = list(zip(asked.first, asked.second, strict=True))
    assert pairs == [(image, reference) for image in range(4) for reference in (4, 5)]


def test_images_are_ranked_through_references_alone() -> None:
    judge, rng = Judge(60, pair_error=0.1), np.random.default_rng(0)
    row = np.append(np.arange(40), 40 + spread_references(judge.quality[40:], 8))
    pairing = ReferencePairs(num_references=8)
    asked = pairing.compare(48, lambda first, second: judge(row[first], row[second]), rng)
    strengths = fitted(48, asked)[:40]
    assert spearmanr(strengths, judge.quality[:40]).statistic > 0.99


@pytest.mark.parametrize("num_references", [2, 3])
def test_references_leave_an_image_to_rank(num_references: int) -> None:
    with pytest.raises(AssertionError, match="an image to rank"):
        compare(ReferencePairs(num_references=num_references), Judge(2))


def test_references_spread_over_the_range_and_not_over_the_crowd() -> None:
    """Bins of 1 to 5 have the middles 1.5, 2.5, 3.5, 4.5; most images crowd at 3."""
    scores = np.array([3.0, 3.1, 2.9, 3.05, 2.95, 1.0, 5.0, 1.6, 4.4, 2.4, 3.6])
    assert spread_references(scores, 4).tolist() == [7, 9, 10, 8]


def test_references_are_distinct_though_all_scores_are_equal() -> None:
    chosen = spread_references(np.full(5, 3.0), 5)
    assert sorted(chosen.tolist()) == list(range(5))


def test_more_references_than_training_images_is_an_error() -> None:
    message = (
        r"ranking\.references: got 4 references wanted of 3 training images; expected at least "
        r"as many training images as references\.\n  -> lower ranking\.references, or add"
    )
    with pytest.raises(DataError, match=message):
        spread_references(np.arange(3.0), 4)
