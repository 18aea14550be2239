import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from lmol.data.evaluation_pairs import all_pairs
from lmol.evaluation.gaps import accuracy_by_gap, gap_borders
from lmol.evaluation.intervals import ImageBootstrap, interval
from lmol.evaluation.judged import JudgedPairs

RIGHT = {
    "First": [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]],
    "Second": [[0.1, 0.8, 0.1], [0.8, 0.1, 0.1]],
    "Similar": [[0.1, 0.1, 0.8], [0.1, 0.1, 0.8]],
}


@pytest.fixture(scope="module")
def judged() -> JudgedPairs:
    """Always right beyond 1 point, and up to theta right about every other pair."""
    rng = np.random.default_rng(0)
    images = pd.DataFrame({"image": [f"{i}.png" for i in range(40)]})
    images["score"] = np.round(rng.uniform(1, 5, size=40), 2)
    pairs = all_pairs(images, theta=0.2)
    gap = np.abs(pairs["score1"] - pairs["score2"])
    answers = pairs["label"].where((gap > 1) | (rng.random(len(pairs)) < 0.5), "Second")
    probabilities = np.array([RIGHT[answer] for answer in answers])
    return JudgedPairs.of(pairs, probabilities, images["image"])


def gaps_of(judged: JudgedPairs) -> NDArray[np.float64]:
    assert judged.gap is not None
    return judged.gap


def test_the_rows_part_the_pairs_and_the_first_is_similar(judged: JudgedPairs) -> None:
    table = accuracy_by_gap(judged, 0.2, ImageBootstrap(40, 100, seed=0))
    assert table["pairs"].sum() == gaps_of(judged).size
    assert table["pairs"][0] == (judged.truth == 2).sum()
    assert (table["low"][1:].to_numpy() == table["high"][:-1].to_numpy()).all()
    assert table["low"][0] == 0.0
    assert table["high"][0] == 0.2
    weighted = np.average(table["accuracy"].fillna(0), weights=table["pairs"])
    assert weighted == pytest.approx(judged.right.mean())
    for place, row in enumerate(table.to_numpy()):
        inside = (gaps_of(judged) > (row[0] if place else -1.0)) & (gaps_of(judged) <= row[1])
        assert row[2] == inside.sum()
        assert row[3] == pytest.approx(judged.right[inside].mean())


def test_the_whole_data_set_may_set_the_intervals(judged: JudgedPairs) -> None:
    bootstrap = ImageBootstrap(40, 10, seed=0)
    table = accuracy_by_gap(judged, 0.2, bootstrap, farthest=9.0)
    assert table["high"].tolist() == gap_borders(0.2, 9.0).tolist()
    assert table["pairs"].sum() == gaps_of(judged).size
    assert table["accuracy"].isna().equals(table["pairs"] == 0)


def test_the_interval_is_over_images(judged: JudgedPairs) -> None:
    bootstrap = ImageBootstrap(40, 100, seed=0)
    table = accuracy_by_gap(judged, 0.2, bootstrap)
    similar = judged.truth == 2
    expected = interval(judged.accuracy_samples(similar, bootstrap))
    assert (table["accuracy_low"][0], table["accuracy_high"][0]) == expected
    assert table["accuracy_low"][0] < table["accuracy"][0] < table["accuracy_high"][0]
    assert table["accuracy_low"].iloc[-1] == 1.0


@pytest.mark.parametrize("theta", [0.0, 0.2, 0.5, 7.0])
@pytest.mark.parametrize("largest", [0.9, 3.2, 4.0, 87.3])
def test_borders_are_round_few_and_reach_the_largest_gap(theta: float, largest: float) -> None:
    borders = gap_borders(theta, largest)
    assert borders[0] == theta
    assert borders[-1] >= largest or borders.size == 1
    assert borders.size <= 9 + 1
    if borders.size > 1:
        width = borders[1] - borders[0]
        np.testing.assert_allclose(np.diff(borders), width)
        assert float(f"{width:.1e}") == pytest.approx(width)
        assert borders[-2] < largest


def test_pairs_that_are_all_similar_are_one_row(judged: JudgedPairs) -> None:
    table = accuracy_by_gap(judged, 4.0, ImageBootstrap(40, 10, seed=0))
    assert table["pairs"].tolist() == [780]
    assert table["high"].tolist() == [4.0]
