from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr

from lmol.data.evaluation_pairs import all_pairs
from lmol.evaluation.intervals import ImageBootstrap
from lmol.evaluation.judged import JudgedPairs
from lmol.evaluation.metrics import Metrics
from lmol.evaluation.subgroups import (
    GAPS,
    MOST_CROSSED,
    NO_GROUPS,
    TESTED,
    Subgroups,
    extreme_groups,
    group_names,
)
from lmol.verdict import SWAPPED

Floats = NDArray[np.float64]


def simulated(groups: list[str], seed: int = 0, careless: str = "") -> Subgroups:
    """Three in four answers are right and certain; of pairs within `careless`, one in four."""
    rng, num = np.random.default_rng(seed), len(groups)
    images = pd.DataFrame({"image": [f"{i}.png" for i in range(num)], "group": groups})
    images["score"] = np.round(rng.uniform(1, 5, size=num), 3)
    pairs = all_pairs(images, theta=0.2)
    judged = JudgedPairs.of(pairs, np.full((len(pairs), 2, 3), 1 / 3), images["image"])
    names = images["group"].to_numpy()
    within = (names[judged.first] == careless) & (names[judged.second] == careless)
    right = rng.random(len(pairs)) < np.where(within, 0.25, 0.75)
    answer = np.where(right, judged.truth, (judged.truth + 1) % 3)
    one, other = np.eye(3)[answer], np.eye(3)[np.array(SWAPPED)[answer]]
    other[rng.random(len(pairs)) < 0.1] = [0.3, 0.3, 0.4]
    probabilities = np.stack([one, other], axis=1)
    strengths = images["score"].to_numpy() + rng.normal(scale=0.5, size=num)
    return Subgroups(
        judged=JudgedPairs.of(pairs, probabilities, images["image"]),
        images=images,
        strengths=strengths,
        estimates=strengths + 0.1,
        bootstrap=ImageBootstrap(num, 200, seed=seed),
    )


THREE = ["b"] * 12 + ["a"] * 20 + ["c"] * 15


def found(subgroups: Subgroups) -> tuple[pd.DataFrame, Metrics]:
    table = subgroups.table()
    return table, subgroups.metrics(table)


def test_the_rows_add_up() -> None:
    table = simulated(THREE).table()
    assert table["kind"].tolist() == ["within"] * 3 + ["across"] * 3 + ["all within", "all across"]
    assert table["group"].tolist() == ["a", "b", "c", "a", "a", "b", "", ""]
    assert table["other"].tolist() == ["", "", "", "b", "c", "c", "", ""]
    assert table["images"].tolist() == [20, 12, 15, 32, 35, 27, 47, 47]
    assert table["pairs"].tolist() == [190, 66, 105, 240, 300, 180, 361, 720]
    for kind, total in (("within", 6), ("across", 7)):
        rows = table[table["kind"] == kind]
        for column in ("accuracy", "order_consistency"):
            together = np.average(rows[column], weights=rows["pairs"])
            assert together == pytest.approx(table[column][total])


def test_the_order_of_the_images_of_a_pair_plays_no_part() -> None:
    """A pair across is one whichever group comes first."""
    assert (simulated(["b", "a"] * 12).table()["pairs"] == [66, 66, 144, 132, 144]).all()


def test_a_group_has_the_results_of_its_own_images_and_pairs() -> None:
    subgroups = simulated(THREE)
    row = subgroups.table().iloc[1]
    mine = np.arange(12)
    inside = np.isin(subgroups.judged.first, mine) & np.isin(subgroups.judged.second, mine)
    scores, strengths = subgroups.images["score"].to_numpy()[mine], subgroups.strengths[mine]
    assert row["accuracy"] == pytest.approx(subgroups.judged.right[inside].mean())
    assert row["order_consistency"] == pytest.approx(subgroups.judged.consistent[inside].mean())
    assert row["pearson"] == pytest.approx(pearsonr(scores, strengths).statistic)
    assert row["spearman"] == pytest.approx(spearmanr(scores, strengths).statistic)
    assert subgroups.estimates is not None
    assert row["mean_error"] == pytest.approx((subgroups.estimates[mine] - scores).mean())
    for name in ("accuracy", "pearson", "spearman", "mean_error"):
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]


def test_correlations_and_errors_are_of_groups_only() -> None:
    table = simulated(THREE).table()
    assert table.loc[table["kind"] != "within", ["pearson", "mean_error"]].isna().all(axis=None)


def test_a_group_that_is_judged_worse_is_found() -> None:
    """75 % within the others and 25 % within c; more than chance, and across is not touched."""
    table, metrics = found(simulated(["a"] * 25 + ["c"] * 25, careless="c"))
    assert [table["group"][row] for row in extreme_groups(table, "accuracy")] == ["a", "c"]
    assert metrics["subgroup_gap"] == table["accuracy"][0] - table["accuracy"][1]
    low, gap, high = (metrics[f"subgroup_gap{end}"] for end in ("_low", "", "_high"))
    assert low is not None
    assert gap is not None
    assert high is not None
    assert 0.3 < low < gap < high < 0.7
    assert gap == pytest.approx(0.5, abs=0.1)
    across = table["accuracy"][3] - table["accuracy"][4]
    assert metrics["within_across_gap"] == pytest.approx(across)


def test_without_estimates_there_are_no_mean_errors() -> None:
    table, metrics = found(replace(simulated(THREE), estimates=None))
    assert table["mean_error"].isna().all()
    assert table.loc[:2, "pearson"].notna().all()
    assert metrics["subgroup_bias"] is metrics["subgroup_bias_low"] is None
    assert metrics["subgroup_gap"] is not None


def test_a_group_that_is_placed_too_high_is_found() -> None:
    subgroups = simulated(["a"] * 30 + ["b"] * 30)
    assert subgroups.estimates is not None
    subgroups.estimates[:30] += 0.8
    table, metrics = found(subgroups)
    assert [table["group"][row] for row in extreme_groups(table, "mean_error")] == ["a", "b"]
    low, bias = metrics["subgroup_bias_low"], metrics["subgroup_bias"]
    assert low is not None
    assert 0.3 < low < 0.8
    assert bias == pytest.approx(0.8, abs=0.35)


def test_groups_without_a_difference_differ_by_chance_only() -> None:
    """Of two such groups, the interval of the gap reaches 0 about as often as not too sure."""
    reached = 0
    for seed in range(30):
        metrics = found(simulated(["a"] * 15 + ["b"] * 15, seed=seed))[1]
        low = metrics["subgroup_gap_low"]
        assert low is not None
        reached += low <= 0
    assert reached >= 26


def test_an_image_without_a_group_is_in_no_row() -> None:
    table = simulated(["a"] * 10 + ["b"] * 10 + [""] * 5).table()
    assert table["images"].tolist() == [10, 10, 20, 20, 20]
    assert table["pairs"].tolist() == [45, 45, 100, 90, 100]


def test_a_small_group_has_a_row_but_no_interval_and_no_headline() -> None:
    table, metrics = found(simulated(["a"] * 14 + ["b"] * 4 + ["c"]))
    small, single = table.iloc[1], table.iloc[2]
    assert small[["accuracy", "pearson", "mean_error"]].notna().all()
    assert small[["accuracy_low", "pearson_low", "mean_error_high"]].isna().all()
    assert (single["images"], single["pairs"]) == (1, 0)
    assert single[["accuracy", "order_consistency", "pearson", "spearman"]].isna().all()
    assert table.loc[3:5, "accuracy_low"].isna().all()
    assert metrics["subgroup_gap"] is metrics["subgroup_bias_high"] is None
    assert metrics["within_across_gap"] is not None


def test_groups_of_one_image_each_have_no_headline_at_all() -> None:
    assert found(simulated(["a", "b", "c"]))[1] == NO_GROUPS


def test_of_very_many_groups_only_all_pairs_across_have_a_row() -> None:
    groups = [f"{index:02}" for index in range(MOST_CROSSED + 1)] * 2
    table = simulated(groups).table()
    assert {*table["kind"]} == {"within", "all within", "all across"}
    assert table["pairs"].tail(2).tolist() == [21, 42 * 41 // 2 - 21]


def test_headlines_are_the_same_with_and_without_groups() -> None:
    assert list(found(simulated(THREE))[1]) == list(NO_GROUPS)
    values = {name.removesuffix("_low").removesuffix("_high") for name in NO_GROUPS}
    assert values == {*GAPS, *TESTED}


def test_one_group_or_none_is_no_group() -> None:
    assert group_names(pd.DataFrame({"group": ["b", "", "a", "b"]})) == ["a", "b"]
    assert group_names(pd.DataFrame({"group": ["a", "", "a"]})) == []
    assert group_names(pd.DataFrame({"group": ["", ""]})) == []
