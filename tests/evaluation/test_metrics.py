import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from lmol.evaluation.answers import (
    average_orders,
    confusion_table,
    orders_agree,
    predictions_table,
    win_share,
)
from lmol.evaluation.metrics import (
    classification_metrics,
    correlation_metrics,
    order_consistency,
    position_bias,
)
from lmol.verdict import SWAPPED, Verdict, most_probable

FIRST, SECOND, SIMILAR = [0.7, 0.1, 0.2], [0.1, 0.7, 0.2], [0.1, 0.2, 0.7]

Floats = NDArray[np.float64]

# Five pairs. In the second the orders disagree (First, First) and the average is a tie: Similar.
LABELS = ["First", "First", "Second", "Similar", "Similar"]
ANSWERS = np.array(
    [[FIRST, SECOND], [FIRST, FIRST], [SECOND, FIRST], [SIMILAR, SIMILAR], [FIRST, SECOND]]
)


@pytest.fixture
def probabilities() -> Floats:
    """Answers of a judge to 500 pairs, which depend on the order."""
    return np.random.default_rng(0).dirichlet([1, 1, 1], size=(500, 2))


def test_swapping_the_inputs_swaps_averaged_probabilities_exactly(probabilities: Floats) -> None:
    swapped = average_orders(probabilities[:, ::-1])
    assert (swapped == average_orders(probabilities)[:, SWAPPED]).all()


def test_average_orders_by_hand() -> None:
    answers = np.array([[[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]]])
    np.testing.assert_allclose(average_orders(answers), [[0.55, 0.2, 0.25]])


def test_swapping_the_inputs_swaps_verdicts_and_leaves_metrics(probabilities: Floats) -> None:
    averaged = average_orders(probabilities)
    swapped = most_probable(average_orders(probabilities[:, ::-1]))
    assert (swapped == np.array(SWAPPED)[most_probable(averaged)]).all()
    labels = np.random.default_rng(1).choice(["First", "Second", "Similar"], size=500)
    exchange = {"First": "Second", "Second": "First", "Similar": "Similar"}
    there = classification_metrics(labels, probabilities)
    back = classification_metrics([exchange[label] for label in labels], probabilities[:, ::-1])
    for first, second in (
        ("accuracy_first", "accuracy_second"),
        ("precision_first", "precision_second"),
    ):
        there[first], there[second] = there[second], there[first]
    assert back == pytest.approx(there, abs=1e-12)


@pytest.mark.parametrize("tied", [[0.4, 0.4, 0.2], [0.4, 0.2, 0.4], [0.2, 0.4, 0.4], [1 / 3] * 3])
def test_an_exact_tie_is_similar_and_favours_neither_image(tied: list[float]) -> None:
    assert most_probable(np.array([tied])) == [Verdict.SIMILAR]


def test_win_share_is_a_win_and_half_of_the_ties(probabilities: Floats) -> None:
    averaged = average_orders(probabilities)
    expected = averaged[:, Verdict.FIRST] + averaged[:, Verdict.SIMILAR] / 2
    np.testing.assert_allclose(win_share(averaged), expected, atol=1e-15)
    np.testing.assert_allclose(win_share(averaged) + win_share(averaged[:, SWAPPED]), 1.0)


def test_a_judge_that_looks_at_no_image_shares_every_win_equally() -> None:
    """Its constant answer may favour a position, and be rounded to fp32 or not at all."""
    exact = np.random.default_rng(2).dirichlet([1, 1, 1], size=(500, 1))
    constant = np.concatenate([exact, exact.astype(np.float32)])
    averaged = average_orders(np.repeat(constant, 2, axis=1))
    assert (win_share(averaged) == 0.5).all()


def test_predictions_table_holds_the_averaged_answers() -> None:
    pairs = pd.DataFrame(
        {"img1": list("abcde"), "img2": list("fghij"), "score1": 1.0, "label": LABELS}
    )
    table = predictions_table(pairs, ANSWERS)
    columns = ["img1", "img2", "label", "pred", "p_first", "p_second", "p_similar"]
    assert table.columns.tolist() == columns
    assert table["pred"].tolist() == ["First", "Similar", "Second", "Similar", "First"]
    np.testing.assert_allclose(table.loc[1, columns[4:]].astype(float), [0.4, 0.4, 0.2])
    assert table[["img1", "img2", "label"]].equals(pairs[["img1", "img2", "label"]])


def test_classification_metrics_by_hand() -> None:
    """Right in pairs 1, 3 and 4. F1: First 1/2, Second 1, Similar 1/2."""
    of_truth = np.array([0.7, 0.7, 0.7, 0.1, 0.7, 0.7, 0.7, 0.7, 0.2, 0.2])
    assert classification_metrics(LABELS, ANSWERS) == pytest.approx(
        {
            "accuracy": 3 / 5,
            "accuracy_first": 1 / 2,
            "accuracy_second": 1.0,
            "accuracy_similar": 1 / 2,
            "precision_first": 1 / 2,
            "precision_second": 1.0,
            "precision_similar": 1 / 2,
            "macro_f1": 2 / 3,
            "order_consistency": 4 / 5,
            "position_bias": 0.1,
            "cross_entropy": -np.log(of_truth).mean(),
            "pairs": 5,
        }
    )


def test_metrics_take_the_label_column_of_a_pairs_table() -> None:
    column = pd.Series(LABELS, index=[5, 4, 3, 2, 1], dtype="str")
    assert classification_metrics(column, ANSWERS) == classification_metrics(LABELS, ANSWERS)


def test_recall_of_a_class_that_no_label_has_is_none() -> None:
    metrics = classification_metrics(["First", "First"], np.array([[FIRST, SECOND]] * 2))
    assert metrics["accuracy_first"] == 1.0
    assert metrics["accuracy_second"] is metrics["accuracy_similar"] is None
    assert metrics["macro_f1"] == 1.0


def test_precision_of_a_class_that_is_never_answered_is_none() -> None:
    metrics = classification_metrics(["First", "Second"], np.array([[FIRST, SECOND]] * 2))
    assert metrics["precision_first"] == 0.5
    assert metrics["precision_second"] is metrics["precision_similar"] is None


def test_position_bias_is_of_the_place_and_not_of_the_image() -> None:
    assert position_bias(np.array([[[1.0, 0.0, 0.0]] * 2] * 4)) == 1.0
    assert position_bias(np.array([[SECOND, SECOND]])) == pytest.approx(-0.6)
    assert position_bias(np.array([[FIRST, SECOND]] * 3)) == pytest.approx(0.0)


def test_a_sure_mistake_has_a_finite_cross_entropy() -> None:
    metrics = classification_metrics(["First"], np.array([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]]))
    assert metrics["cross_entropy"] == pytest.approx(87.3, abs=0.1)


def test_order_consistency_sees_a_judge_that_always_says_first() -> None:
    assert order_consistency(np.array([[FIRST, FIRST]] * 3)) == 0.0
    both = np.array([[SIMILAR, SIMILAR], [FIRST, FIRST]])
    assert order_consistency(both) == 0.5
    assert orders_agree(both).tolist() == [True, False]


def test_a_label_that_is_none_of_the_three_is_refused() -> None:
    with pytest.raises(AssertionError, match="labels are among First, Second, Similar"):
        classification_metrics(["first"], ANSWERS[:1])


def test_confusion_table_has_labels_in_rows_and_answers_in_columns() -> None:
    table = confusion_table(["First", "First", "Similar"], ["First", "Similar", "Second"])
    assert table.index.tolist() == table.columns.tolist() == ["First", "Second", "Similar"]
    assert table.to_numpy().tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_correlation_metrics_by_hand() -> None:
    """Ranks 1 2 3 4 against 1 3 2 4: Spearman .8, Kendall (5 - 1) / 6, Pearson the same as .8."""
    scores, strengths = np.array([1.0, 2.0, 3.0, 4.0]), np.array([-3.0, 1.0, -1.0, 3.0])
    estimates = scores + np.array([1.0, -1.0, 1.0, -3.0])
    assert correlation_metrics(scores, strengths, estimates) == pytest.approx(
        {
            "pearson": 0.8,
            "spearman": 0.8,
            "kendall": 2 / 3,
            "mae": 1.5,
            "rmse": np.sqrt(3),
            "images": 4,
        }
    )


def test_a_scale_that_turns_the_ranking_round_does_not_hide_it() -> None:
    scores = np.array([1.0, 2.0, 3.0])
    assert correlation_metrics(scores, -scores, scores)["pearson"] == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("scores", "strengths"), [([1.0, 2.0], [0.0, 0.0]), ([2.0, 2.0], [1.0, 2.0]), ([1.0], [0.0])]
)
def test_no_correlation_of_a_constant(scores: list[float], strengths: list[float]) -> None:
    metrics = correlation_metrics(np.array(scores), np.array(strengths), np.array(scores))
    assert metrics["pearson"] is metrics["spearman"] is metrics["kendall"] is None
    assert metrics["mae"] == 0.0
