from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from lmol.evaluation.judged import JudgedPairs
from lmol.evaluation.metrics import Metrics
from lmol.evaluation.transitivity import triple_metrics

FIRST, SECOND, SIMILAR = [0.7, 0.1, 0.2], [0.1, 0.7, 0.2], [0.15, 0.15, 0.7]
SWAP = {"First": SECOND, "Second": FIRST, "Similar": SIMILAR}
ANSWER = {"First": FIRST, "Second": SECOND, "Similar": SIMILAR}


def metrics_of(num_images: int, answers: dict[tuple[int, int], str]) -> Metrics:
    """Triples of a judge that says, in either order, `answers` of the two images."""
    pairs = pd.DataFrame(
        {
            "img1": [str(a) for a, _ in answers],
            "img2": [str(b) for _, b in answers],
            "score1": 1.0,
            "score2": 1.0,
            "label": "Similar",
        }
    )
    probabilities = np.array([[ANSWER[answer], SWAP[answer]] for answer in answers.values()])
    names = pd.Series([str(image) for image in range(num_images)])
    return triple_metrics(JudgedPairs.of(pairs, probabilities, names))


def random_answers(num: int, share: float, seed: int) -> dict[tuple[int, int], str]:
    rng = np.random.default_rng(seed)
    kept = [pair for pair in combinations(range(num), 2) if rng.random() < share]
    return {
        pair: str(rng.choice(["First", "Second", "Similar"], p=[0.4, 0.4, 0.2])) for pair in kept
    }


def test_a_cycle_of_three_by_hand() -> None:
    """0 > 1 > 2 > 0; 3 loses against all, so the other three triples are in order."""
    answers = {(0, 1): "First", (1, 2): "First", (0, 2): "Second"}
    assert metrics_of(3, answers) == {"cyclic_triples": 1.0, "triples": 1}
    answers |= {(0, 3): "First", (1, 3): "First", (3, 2): "Second"}
    assert metrics_of(4, answers) == {"cyclic_triples": 0.25, "triples": 4}


def test_a_judge_that_goes_by_an_order_has_no_cycle() -> None:
    answers = dict.fromkeys(combinations(range(12), 2), "First")
    assert metrics_of(12, answers) == {"cyclic_triples": 0.0, "triples": 220}


def test_a_tie_leaves_its_triples_undecided() -> None:
    answers = {(0, 1): "First", (1, 2): "First", (0, 2): "Similar"}
    assert metrics_of(3, answers) == {"cyclic_triples": None, "triples": 0}


def test_pairs_without_a_triangle_have_no_triples() -> None:
    answers = {(0, 1): "First", (1, 2): "First", (2, 3): "First", (3, 0): "First"}
    assert metrics_of(4, answers) == {"cyclic_triples": None, "triples": 0}


@pytest.mark.parametrize(("num", "share"), [(14, 1.0), (14, 0.5), (60, 0.08)])
def test_triples_are_counted_as_by_going_through_them(num: int, share: float) -> None:
    """Dense and sparse sets of pairs, with ties."""
    answers = random_answers(num, share, seed=1)
    beats = {(a, b) for (a, b), answer in answers.items() if answer == "First"}
    beats |= {(b, a) for (a, b), answer in answers.items() if answer == "Second"}
    decided = cyclic = 0
    for a, b, c in combinations(range(num), 3):
        edges = [(x, y) in beats for x, y in ((a, b), (b, c), (c, a))]
        back = [(y, x) in beats for x, y in ((a, b), (b, c), (c, a))]
        decided += all(np.logical_or(edges, back))
        cyclic += all(edges) or all(back)
    expected = {"cyclic_triples": pytest.approx(cyclic / decided), "triples": decided}
    assert metrics_of(num, answers) == expected


def test_a_judge_that_tosses_coins_has_a_quarter() -> None:
    rng = np.random.default_rng(0)
    answers = {pair: str(rng.choice(["First", "Second"])) for pair in combinations(range(80), 2)}
    found = metrics_of(80, answers)
    assert found["triples"] == 82_160
    assert found["cyclic_triples"] == pytest.approx(0.25, abs=0.01)
