import numpy as np
import pandas as pd
import pytest

from lmol.evaluation.intervals import ImageBootstrap
from lmol.evaluation.judged import JudgedPairs

FIRST, SECOND, SIMILAR = [0.7, 0.1, 0.2], [0.1, 0.7, 0.2], [0.1, 0.2, 0.7]

IMAGES = pd.Series(["c", "a", "b"])
PAIRS = pd.DataFrame(
    {
        "img1": ["a", "b", "c"],
        "img2": ["b", "c", "a"],
        "score1": [3.0, 2.8, 1.0],
        "score2": [2.8, 1.0, 3.0],
        "label": ["Similar", "First", "Second"],
    },
    index=[7, 8, 9],
)
ANSWERS = np.array([[FIRST, FIRST], [FIRST, SECOND], [FIRST, SECOND]])


def test_pairs_become_rows_of_the_score_table() -> None:
    judged = JudgedPairs.of(PAIRS, ANSWERS, IMAGES)
    assert judged.num_images == 3
    assert judged.first.tolist() == [1, 2, 0]
    assert judged.second.tolist() == [2, 0, 1]
    assert judged.truth.tolist() == [2, 0, 1]
    # The first was answered First in both orders: a tie, and not consistent.
    assert judged.right.tolist() == [True, True, False]
    assert judged.consistent.tolist() == [False, True, True]
    np.testing.assert_allclose(judged.averaged[0], [0.4, 0.4, 0.2])


def test_gaps_are_rounded_as_the_labels_are() -> None:
    """3.0 - 2.8 > 0.2 in binary, and yet the pair is Similar at theta 0.2."""
    gap = JudgedPairs.of(PAIRS, ANSWERS, IMAGES).gap
    assert gap is not None
    assert gap.tolist() == [0.2, 1.8, 2.0]


def test_accuracy_of_chosen_pairs_and_of_none() -> None:
    judged, bootstrap = JudgedPairs.of(PAIRS, ANSWERS, IMAGES), ImageBootstrap(3, 50, seed=0)
    chosen = judged.accuracy(np.array([False, True, True]), bootstrap)
    assert chosen == {"accuracy": 0.5, "accuracy_low": 0.0, "accuracy_high": 1.0}
    assert {*judged.accuracy(np.zeros(3, dtype=bool), bootstrap).values()} == {None}


def test_a_pair_of_an_unknown_image_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError, match="images in the score table"):
        JudgedPairs.of(PAIRS, ANSWERS, IMAGES[:2])
