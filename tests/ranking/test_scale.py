import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from lmol.ranking.bradley_terry import BradleyTerryFit, fit_strengths
from lmol.ranking.scale import ScoreScale, matched_ties, ranking_table


def test_a_linear_scale_is_recovered_with_the_mean_of_all_training_images() -> None:
    strengths = np.array([-2.0, 0.5, 1.5])
    scale = ScoreScale.fit(strengths, 2.8 + 0.25 * strengths, mean_score=3.1)
    assert scale.slope == pytest.approx(0.25)
    assert scale.intercept == 3.1
    np.testing.assert_allclose(scale.estimate(np.array([0.0, 4.0])), [3.1, 4.1])


def test_slope_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    strengths, scores = rng.normal(size=(2, 40))
    expected = np.polyfit(strengths, scores, 1)[0]
    assert ScoreScale.fit(strengths, scores, 3.0).slope == pytest.approx(expected)


def test_a_shift_of_the_validation_strengths_does_not_move_the_scale() -> None:
    rng = np.random.default_rng(1)
    strengths, scores = rng.normal(size=(2, 40))
    fitted = ScoreScale.fit(strengths, scores, 3.0)
    assert ScoreScale.fit(strengths + 7.0, scores, 3.0).slope == pytest.approx(fitted.slope)


@pytest.mark.parametrize("strength", [0.0, 0.1])
def test_a_constant_judge_estimates_the_mean_score_for_every_image(strength: float) -> None:
    scale = ScoreScale.fit(np.full(3, strength), np.array([1.0, 2.0, 4.0]), mean_score=2.5)
    assert scale.slope == 0
    assert (scale.estimate(np.array([-1.0, 1.0])) == 2.5).all()


def slope_of_a_sample(scores: NDArray[np.float64], pairs: int, virtual_ties: float) -> float:
    """Slope from a judge of 4 logits per point of score who is asked `pairs` of all pairs."""
    first, second = np.triu_indices(scores.size, 1)
    kept = np.random.default_rng(3).choice(first.size, pairs, replace=False)
    first, second = first[kept], second[kept]
    wins = expit(4 * (scores[first] - scores[second]))
    fit = fit_strengths(scores.size, first, second, wins, virtual_ties)
    return ScoreScale.fit(fit.strengths, scores, 3.0).slope


def test_matched_ties_make_the_slope_of_few_comparisons_that_of_many() -> None:
    scores = np.random.default_rng(2).normal(3.0, 0.7, size=50)
    ties = matched_ties(1.0, density=300 / 50, target_density=1225 / 50)
    assert ties == pytest.approx(300 / 1225)
    many = slope_of_a_sample(scores, 1225, 1.0)
    assert slope_of_a_sample(scores, 300, ties) == pytest.approx(many, rel=0.03)
    assert slope_of_a_sample(scores, 300, 1.0) > 1.2 * many


def test_ranking_table_puts_the_strongest_first_and_lets_equals_share_a_rank() -> None:
    images = pd.DataFrame({"image": ["d", "c", "b", "a"], "score": [1.0, 4.0, 3.0, 2.0]})
    strengths, errors = np.array([-1.5, 0.5, 0.5, 0.5]), np.array([0.4, 0.3, 0.2, 0.1])
    fit = BradleyTerryFit(strengths=strengths, standard_errors=errors)
    table = ranking_table(images, fit, ScoreScale(slope=2.0, intercept=3.0))
    assert table.columns.tolist() == ["image", "score", "strength", "stderr", "estimate", "rank"]
    assert table["image"].tolist() == ["a", "b", "c", "d"]
    assert table["score"].tolist() == [2.0, 3.0, 4.0, 1.0]
    assert table["stderr"].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert table["estimate"].tolist() == [4.0, 4.0, 4.0, 0.0]
    assert table["rank"].tolist() == [1, 1, 1, 4]


def test_ranking_table_follows_the_rows_and_not_the_index_of_the_images() -> None:
    images = pd.DataFrame({"image": ["a", "b"], "score": [1.0, 2.0]}, index=[9, 4])
    fit = BradleyTerryFit(strengths=np.array([-1.0, 1.0]), standard_errors=np.ones(2))
    table = ranking_table(images, fit, ScoreScale(slope=1.0, intercept=0.0))
    assert table["image"].tolist() == ["b", "a"]
    assert table.index.tolist() == [0, 1]
