from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from lmol.evaluation.calibration import reliability_table
from lmol.evaluation.diagnostic_plots import (
    plot_accuracy_by_gap,
    plot_reliability,
    plot_subgroups,
)
from lmol.evaluation.figures import BLUE, ORANGE

pytestmark = pytest.mark.pictures

GAPS = pd.DataFrame(
    {
        "low": [0.0, 0.2, 0.6, 1.0],
        "high": [0.2, 0.6, 1.0, 1.4],
        "pairs": [100, 80, 0, 20],
        "accuracy": [0.5, 0.7, np.nan, 1.0],
        "accuracy_low": [0.4, 0.6, np.nan, 1.0],
        "accuracy_high": [0.6, 0.8, np.nan, 1.0],
    }
)


def group_rows(num: int) -> pd.DataFrame:
    """So many groups within, as many across, and the two totals."""
    kinds = ["within"] * num + ["across"] * num + ["all within", "all across"]
    table = pd.DataFrame({"kind": kinds, "group": [f"g{i}$" for i in range(len(kinds))]})
    table["other"] = "h"
    table["pairs"] = 10
    for name in ("accuracy", "mean_error"):
        table[name] = np.linspace(0.5, 0.8, len(table))
        table[f"{name}_low"], table[f"{name}_high"] = table[name] - 0.1, table[name] + 0.1
    table.loc[num:, ["mean_error", "mean_error_low", "mean_error_high"]] = np.nan
    return table


def drawn(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert 0.01 < (pixels != 255).any(axis=2).mean() < 0.9
    return pixels


def amount(pixels: NDArray[np.uint8], color: str) -> int:
    return int((pixels == np.round(255 * np.array(to_rgb(color)))).all(axis=2).sum())


def test_intervals_are_drawn_and_an_empty_interval_of_gaps_is_left_out(tmp_path: Path) -> None:
    plot_accuracy_by_gap(GAPS, tmp_path / "with.png")
    sure = GAPS.assign(accuracy_low=GAPS["accuracy"], accuracy_high=GAPS["accuracy"])
    plot_accuracy_by_gap(sure, tmp_path / "without.png")
    for color in (BLUE, ORANGE):
        assert amount(drawn(tmp_path / "with.png"), color) > amount(
            drawn(tmp_path / "without.png"), color
        )


def test_a_table_of_similar_pairs_only_can_be_drawn(tmp_path: Path) -> None:
    plot_accuracy_by_gap(GAPS[:1], tmp_path / "similar.png")
    drawn(tmp_path / "similar.png")


def test_reliability_has_a_second_curve_where_a_temperature_was_fitted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    before = reliability_table(rng.integers(3, size=400), rng.dirichlet([1, 1, 1], 400))
    after = reliability_table(rng.integers(3, size=400), rng.dirichlet([3, 3, 3], 400))
    plot_reliability(before, None, None, tmp_path / "one.png")
    plot_reliability(before, after, 1.7, tmp_path / "two.png")
    assert amount(drawn(tmp_path / "one.png"), ORANGE) == 0
    assert amount(drawn(tmp_path / "two.png"), ORANGE) > 500


def test_subgroups_are_drawn_in_two_colours(tmp_path: Path) -> None:
    plot_subgroups(group_rows(4), tmp_path / "subgroups.png")
    pixels = drawn(tmp_path / "subgroups.png")
    assert min(amount(pixels, BLUE), amount(pixels, ORANGE)) > 500


def test_of_very_many_groups_those_across_are_left_to_the_table(tmp_path: Path) -> None:
    """Two totals and 15 groups are shown, as tall as those of a table that has no others."""
    many = group_rows(15)
    plot_subgroups(many, tmp_path / "many.png")
    plot_subgroups(many[many["kind"] != "across"], tmp_path / "fewer.png")
    assert (drawn(tmp_path / "many.png") == drawn(tmp_path / "fewer.png")).all()


def test_groups_too_small_for_intervals_can_be_drawn(tmp_path: Path) -> None:
    table = group_rows(3)
    table.loc[:, table.columns.str.contains("accuracy|mean_error")] = np.nan
    plot_subgroups(table, tmp_path / "small.png")
    drawn(tmp_path / "small.png")
