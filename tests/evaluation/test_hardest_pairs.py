from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from lmol.errors import DataError
from lmol.evaluation.answers import predictions_table
from lmol.evaluation.figures import DPI
from lmol.evaluation.hardest_pairs import CELL, HEADER, hardest_pairs, plot_hardest_pairs

pytestmark = pytest.mark.pictures

SWAP = [1, 0, 2]


def judged(averaged: list[list[float]], labels: list[str]) -> pd.DataFrame:
    """The hardest pairs of a judge that answers both orders alike; image 2 i against 2 i + 1."""
    one = np.array(averaged)
    pairs = pd.DataFrame(
        {
            "img1": [f"{2 * i}.png" for i in range(len(labels))],
            "img2": [f"{2 * i + 1}.png" for i in range(len(labels))],
            "score1": 1.0 + np.arange(len(labels)),
            "score2": 3.0,
            "label": labels,
        },
        index=range(100, 100 + len(labels)),
    )
    predictions = predictions_table(pairs, np.stack([one, one[:, SWAP]], axis=1))
    return hardest_pairs(predictions, pairs)


def mistakes(num: int) -> pd.DataFrame:
    return judged([[0.9 - 0.01 * i, 0.06, 0.04 + 0.01 * i] for i in range(num)], ["Second"] * num)


@pytest.fixture
def image_paths(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(28):
        Image.new("RGB", (40, 30 + index), (9 * index, 200, 90)).save(folder / f"{index}.png")
    return {path.name: str(path) for path in folder.iterdir()}


def drawn(path: Path, columns: int, rows: int) -> NDArray[np.uint8]:
    """Pixels of a sheet that has the size of so many cells, and something on it."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    expected = (DPI * (rows * CELL[1] + HEADER), DPI * columns * CELL[0])
    np.testing.assert_allclose(pixels.shape[:2], expected, atol=1)
    assert (pixels != 255).any(axis=2).mean() > 0.0005
    return pixels


def test_mistakes_stand_in_order_of_the_gap_of_the_scores_and_similar_ones_last() -> None:
    table = judged(
        [[0.6, 0.3, 0.1], [0.9, 0.05, 0.05], [0.1, 0.1, 0.8], [0.2, 0.7, 0.1], [0.1, 0.7, 0.2]],
        ["Second", "First", "First", "Similar", "First"],
    )
    assert table["img1"].tolist() == ["8.png", "0.png", "6.png", "4.png"]
    assert table["pred"].tolist() == ["Second", "First", "Second", "Similar"]
    assert table["label"].tolist() == ["First", "Second", "Similar", "First"]
    assert table["score1"].tolist() == [5.0, 1.0, 4.0, 3.0]
    assert table["p_similar"].tolist() == pytest.approx([0.2, 0.1, 0.1, 0.8])


def test_of_equal_gaps_the_surer_mistake_is_first_and_only_so_many_are_kept() -> None:
    table = mistakes(14)
    assert len(table) == 12
    gaps = (table["score1"] - table["score2"]).abs()
    assert gaps.is_monotonic_decreasing
    equal = table[gaps == 2.0]
    assert equal["p_first"].is_monotonic_decreasing


def test_no_image_is_shown_twice() -> None:
    names = ["a", "b", "c", "d"]
    first, second = np.triu_indices(4, 1)
    scores = np.array([1.0, 2.0, 3.0, 4.5])
    pairs = pd.DataFrame(
        {
            "img1": np.array(names)[first],
            "img2": np.array(names)[second],
            "score1": scores[first],
            "score2": scores[second],
            "label": "Second",
        }
    )
    always_first = np.tile([0.8, 0.1, 0.1], (6, 1))
    predictions = predictions_table(pairs, np.stack([always_first, always_first[:, SWAP]], axis=1))
    table = hardest_pairs(predictions, pairs)
    assert table[["img1", "img2"]].to_numpy().tolist() == [["a", "d"], ["b", "c"]]


@pytest.mark.parametrize(("num", "columns", "rows"), [(1, 2, 1), (2, 2, 1), (5, 3, 2), (12, 3, 4)])
def test_both_images_of_each_mistake_are_on_the_sheet(
    tmp_path: Path, image_paths: dict[str, str], num: int, columns: int, rows: int
) -> None:
    plot_hardest_pairs(mistakes(num), image_paths, tmp_path / "sheet.png")
    pixels = drawn(tmp_path / "sheet.png", columns, rows)
    shown = [(pixels == [9 * index, 200, 90]).all(axis=2).any() for index in range(28)]
    assert shown == [True] * (2 * num) + [False] * (28 - 2 * num)


def test_no_mistake_is_a_picture_too(tmp_path: Path) -> None:
    table = judged([[0.9, 0.05, 0.05]], ["First"])
    assert table.empty
    plot_hardest_pairs(table, {}, tmp_path / "sheet.png")
    drawn(tmp_path / "sheet.png", 2, 1)


def test_long_names_and_dollar_signs_stay_in_their_cell(
    tmp_path: Path, image_paths: dict[str, str]
) -> None:
    name = "a/very$long^{/folder/" * 5 + "0.png"
    table = mistakes(1).assign(img1=name)
    plot_hardest_pairs(table, image_paths | {name: image_paths["0.png"]}, tmp_path / "sheet.png")
    pixels = drawn(tmp_path / "sheet.png", 2, 1)
    assert (pixels[:, : int(0.05 * DPI)] == 255).all()


def test_an_image_that_is_gone_leaves_no_picture(
    tmp_path: Path, image_paths: dict[str, str]
) -> None:
    image_paths["1.png"] = str(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"gone\.png: got missing"):
        plot_hardest_pairs(mistakes(2), image_paths, tmp_path / "sheet.png")
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
