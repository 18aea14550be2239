import choix
import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from scipy.special import expit

from lmol.ranking import bradley_terry
from lmol.ranking.bradley_terry import (
    Floats,
    Indices,
    PenalisedLikelihood,
    centred_strengths,
    fit_strengths,
)

Comparisons = tuple[Indices, Indices, Floats]

NUM = 12


def all_against_all(num: int = NUM) -> tuple[Indices, Indices]:
    first, second = np.triu_indices(num, 1)
    return first, second


@pytest.fixture
def comparisons() -> Comparisons:
    """Some pairs of 12 images, one of them twice, with arbitrary win shares."""
    rng = np.random.default_rng(0)
    first, second = all_against_all()
    kept = np.append(rng.choice(first.size, 30, replace=False), 0)
    return first[kept], second[kept], rng.uniform(size=kept.size)


def test_gradient_and_hessian_are_the_derivatives_of_the_value(comparisons: Comparisons) -> None:
    likelihood = PenalisedLikelihood(NUM, *comparisons, 0.7)
    at = np.random.default_rng(1).normal(size=NUM)
    steps = 1e-5 * np.eye(NUM)
    slope = [(likelihood.value(at + h) - likelihood.value(at - h)) / 2e-5 for h in steps]
    bend = [(likelihood.gradient(at + h) - likelihood.gradient(at - h)) / 2e-5 for h in steps]
    np.testing.assert_allclose(likelihood.gradient(at), slope, atol=1e-8)
    np.testing.assert_allclose(likelihood.hessian(at).toarray(), bend, atol=1e-8)


def test_two_images_solved_by_hand() -> None:
    """With s = +-ln 2 the gradient 4/5 - w + (2/3 - 1/2) is zero at w = 29/30."""
    fit = fit_strengths(2, np.array([0]), np.array([1]), np.array([29 / 30]), 1.0)
    np.testing.assert_allclose(fit.strengths, [np.log(2), -np.log(2)], atol=1e-9)
    # Along (1, -1) / sqrt 2 the Hessian is 2 * (4/5)(1/5) + (2/3)(1/3); half of its inverse each.
    variance = 0.5 / (2 * 4 / 25 + 2 / 9)
    np.testing.assert_allclose(fit.standard_errors, np.sqrt(variance), rtol=1e-9)


@pytest.mark.parametrize("share", [0.5, 0.7, 0.95])
def test_two_images_without_virtual_ties_are_the_log_odds_apart(share: float) -> None:
    strengths = fit_strengths(2, np.array([0]), np.array([1]), np.array([share]), 1e-9).strengths
    assert strengths[0] - strengths[1] == pytest.approx(np.log(share / (1 - share)), rel=1e-6)


@pytest.mark.parametrize(("share", "virtual_ties"), [(0.7, 1.0), (1.0, 0.5), (0.0, 3.0)])
def test_two_images_balance_wins_against_virtual_ties(share: float, virtual_ties: float) -> None:
    """By symmetry the strengths are +-s, with expit(2 s) - w + v (expit(s) - 1/2) = 0."""

    def surplus(s: float) -> float:
        return float(expit(2 * s) - share + virtual_ties * (expit(s) - 0.5))

    fit = fit_strengths(2, np.array([0]), np.array([1]), np.array([share]), virtual_ties)
    expected = brentq(surplus, -9, 9, xtol=1e-14)
    np.testing.assert_allclose(fit.strengths, [expected, -expected], atol=1e-9)


def test_a_chain_of_three_adds_up_its_log_odds() -> None:
    """A tree fits every comparison: gaps ln 3 and ln 2, so (2 ln 3 + ln 2, ln 2 - ln 3, ...) / 3.

    Informations of the links are 3/16 and 2/9; the variance of a centred strength is the sum of
    squared shares of a link over its information: (2/3, 1/3), (1/3, 1/3) and (1/3, 2/3).
    """
    fit = fit_strengths(3, np.array([0, 1]), np.array([1, 2]), np.array([3 / 4, 2 / 3]), 1e-9)
    three, two = np.log(3), np.log(2)
    expected = np.array([2 * three + two, two - three, -three - 2 * two]) / 3
    np.testing.assert_allclose(fit.strengths, expected, atol=1e-7)
    shares = np.array([[2, 1], [1, 1], [1, 2]]) / 3
    errors = np.sqrt(shares**2 @ np.array([16 / 3, 9 / 2]))
    np.testing.assert_allclose(fit.standard_errors, errors, rtol=1e-6)


def test_agrees_with_a_minimiser_of_scipy(comparisons: Comparisons) -> None:
    likelihood = PenalisedLikelihood(NUM, *comparisons, 0.7)
    start = np.random.default_rng(6).normal(size=NUM)
    found = minimize(
        likelihood.value, start, jac=likelihood.gradient, method="BFGS", options={"gtol": 1e-8}
    )
    ours = fit_strengths(NUM, *comparisons, 0.7).strengths
    np.testing.assert_allclose(ours, found.x - found.x.mean(), atol=1e-6)


def test_strengths_alone_are_those_of_the_whole_fit(comparisons: Comparisons) -> None:
    fit = fit_strengths(NUM, *comparisons, 0.7)
    np.testing.assert_array_equal(centred_strengths(NUM, *comparisons, 0.7), fit.strengths)


@pytest.mark.parametrize("virtual_ties", [0.5, 1.0, 4.0])
def test_agrees_with_choix_where_the_average_image_is_one_more_item(
    comparisons: Comparisons, virtual_ties: float
) -> None:
    wins = np.zeros((NUM + 1, NUM + 1))
    for i, j, share in zip(*comparisons, strict=True):
        wins[i, j] += share
        wins[j, i] += 1 - share
    wins[NUM, :NUM] = wins[:NUM, NUM] = virtual_ties / 2
    theirs = choix.ilsr_pairwise_dense(wins, max_iter=10_000, tol=1e-10)[:NUM]
    ours = fit_strengths(NUM, *comparisons, virtual_ties).strengths
    np.testing.assert_allclose(ours, theirs - theirs.mean(), atol=1e-7)


def test_agrees_with_choix_newton_on_whole_wins(comparisons: Comparisons) -> None:
    """Every comparison twice turns a virtual tie into one win each way."""
    first, second, share = comparisons
    winner, loser = np.where(share > 0.5, [first, second], [second, first])
    votes = [*zip(winner, loser, strict=True)] * 2
    ties = [pair for i in range(NUM) for pair in ((i, NUM), (NUM, i))]
    theirs = choix.opt_pairwise(NUM + 1, votes + ties, method="Newton-CG", tol=1e-10)[:NUM]
    ours = fit_strengths(NUM, winner, loser, np.ones(winner.size), 1.0).strengths
    np.testing.assert_allclose(ours, theirs - theirs.mean(), atol=1e-5)


def test_known_strengths_are_recovered_from_their_win_probabilities() -> None:
    truth = np.random.default_rng(2).normal(size=60)
    truth -= truth.mean()
    first, second = all_against_all(60)
    share = expit(truth[first] - truth[second])
    strengths = fit_strengths(60, first, second, share, 1e-6).strengths
    np.testing.assert_allclose(strengths, truth, atol=1e-5)


def test_intervals_cover_the_truth_when_every_comparison_is_one_vote() -> None:
    rng = np.random.default_rng(3)
    covered = []
    for _ in range(20):
        truth = rng.normal(size=60)
        first, second = (np.tile(side, 2) for side in all_against_all(60))
        votes = (rng.uniform(size=first.size) < expit(truth[first] - truth[second])).astype(float)
        fit = fit_strengths(60, first, second, votes, 1.0)
        covered.append(np.abs(fit.strengths - truth + truth.mean()) < 1.96 * fit.standard_errors)
    assert 0.93 <= np.mean(covered) <= 0.97


def test_known_strengths_are_recovered_from_votes_as_closely_as_the_standard_errors_say() -> None:
    rng = np.random.default_rng(7)
    truth = rng.normal(size=100)
    truth -= truth.mean()
    first, second = all_against_all(100)
    votes = (rng.uniform(size=first.size) < expit(truth[first] - truth[second])).astype(float)
    fit = fit_strengths(100, first, second, votes, 1.0)
    error = fit.strengths - truth
    assert np.corrcoef(fit.strengths, truth)[0, 1] > 0.96
    assert np.sqrt(np.mean(error**2 / fit.standard_errors**2)) == pytest.approx(1.0, abs=0.2)


def test_standard_errors_are_those_of_the_centred_inverse_hessian(comparisons: Comparisons) -> None:
    fit = fit_strengths(NUM, *comparisons, 1.0)
    likelihood = PenalisedLikelihood(NUM, *comparisons, 1.0)
    free = bradley_terry._newton(likelihood, np.zeros(NUM))
    centring = np.eye(NUM) - 1 / NUM
    covariance = centring @ np.linalg.inv(likelihood.hessian(free).toarray()) @ centring
    np.testing.assert_allclose(fit.standard_errors, np.sqrt(np.diag(covariance)), rtol=1e-10)


def test_the_order_of_the_images_does_not_matter(comparisons: Comparisons) -> None:
    first, second, share = comparisons
    order = np.random.default_rng(4).permutation(NUM)
    fit = fit_strengths(NUM, first, second, share, 1.0)
    moved = fit_strengths(NUM, order[first], order[second], share, 1.0)
    np.testing.assert_allclose(moved.strengths[order], fit.strengths, atol=1e-8)
    np.testing.assert_allclose(moved.standard_errors[order], fit.standard_errors, atol=1e-8)


def test_asking_the_other_way_round_changes_nothing(comparisons: Comparisons) -> None:
    first, second, share = comparisons
    fit = fit_strengths(NUM, first, second, share, 1.0)
    swapped = fit_strengths(NUM, second, first, 1 - share, 1.0)
    np.testing.assert_allclose(swapped.strengths, fit.strengths, atol=1e-8)


def test_preferring_the_opposite_reverses_the_strengths(comparisons: Comparisons) -> None:
    first, second, share = comparisons
    fit = fit_strengths(NUM, first, second, share, 1.0)
    opposite = fit_strengths(NUM, first, second, 1 - share, 1.0)
    np.testing.assert_allclose(opposite.strengths, -fit.strengths, atol=1e-8)
    np.testing.assert_allclose(opposite.standard_errors, fit.standard_errors, atol=1e-8)


def test_strengths_are_centred(comparisons: Comparisons) -> None:
    assert abs(fit_strengths(NUM, *comparisons, 1.0).strengths.mean()) < 1e-14


def test_a_common_shift_costs_nothing_but_virtual_ties(comparisons: Comparisons) -> None:
    likelihood = PenalisedLikelihood(NUM, *comparisons, 1e-12)
    at = np.random.default_rng(5).normal(size=NUM)
    assert likelihood.value(at + 1.0) == pytest.approx(likelihood.value(at), abs=1e-9)


def test_one_sided_and_disconnected_comparisons_give_finite_strengths() -> None:
    """0 always beats 1, 2 always beats 3, and 4 is never asked about."""
    fit = fit_strengths(5, np.array([0, 2]), np.array([1, 3]), np.ones(2), 1.0)
    assert fit.strengths[0] == pytest.approx(-fit.strengths[1])
    assert fit.strengths[0] > 0
    assert fit.strengths[4] == pytest.approx(0.0)
    assert np.isfinite(fit.standard_errors).all()
    assert fit.standard_errors.argmax() == 4


def test_a_judge_without_preferences_gives_exactly_equal_strengths() -> None:
    first, second = all_against_all()
    fit = fit_strengths(NUM, first, second, np.full(first.size, 0.5), 1.0)
    assert (fit.strengths == 0).all()


def test_more_comparisons_make_smaller_errors(comparisons: Comparisons) -> None:
    first, second, share = comparisons
    once = fit_strengths(NUM, first, second, share, 1.0)
    twice = fit_strengths(NUM, np.tile(first, 2), np.tile(second, 2), np.tile(share, 2), 1.0)
    assert (twice.standard_errors < once.standard_errors).all()


def test_a_perfect_order_of_many_images_converges() -> None:
    first, second = all_against_all(200)
    strengths = fit_strengths(200, first, second, np.ones(first.size), 1.0).strengths
    assert (np.diff(strengths) < 0).all()


def test_no_convergence_is_an_error(
    comparisons: Comparisons, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bradley_terry, "MAX_ITERATIONS", 1)
    with pytest.raises(
        RuntimeError, match=r"no convergence in 1 Newton steps, gradient .* > 1e-09"
    ):
        fit_strengths(NUM, *comparisons, 1.0)


@pytest.mark.parametrize("share", [-0.1, 1.1, np.nan])
def test_a_win_share_outside_of_zero_to_one_is_refused(share: float) -> None:
    with pytest.raises(AssertionError, match="a win share is a share"):
        fit_strengths(2, np.array([0]), np.array([1]), np.array([share]), 1.0)
