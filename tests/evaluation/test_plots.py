import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from lmol.errors import DataError
from lmol.evaluation.answers import confusion_table
from lmol.evaluation.plots import (
    plot_confusion,
    plot_learning_curves,
    plot_overview,
    plot_ranking,
)

pytestmark = pytest.mark.pictures

CONFUSION = confusion_table(["First", "First", "Second"], ["First", "Similar", "Second"])
RECORDS = [
    {"step": 1, "loss": 1.5, "cross_entropy": 1.1, "accuracy": 0.3},
    {"step": 2, "loss": 1.2, "cross_entropy": 0.9, "accuracy": 0.5},
    {"step": 2, "eval_comparable_cross_entropy": 1.0, "eval_accuracy": 0.4},
]


def ranking_of(num: int) -> pd.DataFrame:
    scores = np.linspace(4.5, 1.5, num)
    return pd.DataFrame(
        {
            "image": [f"{index}.png" for index in range(num)],
            "score": scores,
            "strength": 2 * (scores - scores.mean()),
            "stderr": 0.2,
            "estimate": scores + 0.1,
            "rank": range(1, num + 1),
        }
    )


@pytest.fixture
def image_paths(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(12):
        Image.new("RGB", (40, 30 + index), (20 * index, 90, 90)).save(folder / f"{index}.png")
    return {path.name: str(path) for path in folder.iterdir()}


def drawn(path: Path) -> NDArray[np.uint8]:
    """Pixels of a picture that has more on it than its background."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
        pixels = np.asarray(image.convert("RGB"))
    assert 600 <= min(pixels.shape[:2]) <= max(pixels.shape[:2]) <= 2000
    assert 0.01 < (pixels != 255).any(axis=2).mean() < 0.9
    return pixels


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved, for tests of what is drawn in them."""
    saved: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: saved.append(figure))
    monkeypatch.setattr("lmol.evaluation.figures.replacing", nullcontext)
    return saved


def test_rows_of_the_confusion_matrix_are_labels_and_columns_answers(
    figures: list[Figure],
) -> None:
    counts = confusion_table(["First"] * 3 + ["Second"], ["First", "Similar", "Similar", "First"])
    plot_confusion(counts, Path("confusion.png"))
    axes = figures[0].axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("label", "answer of the model")
    shares = np.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(shares, np.array([[1 / 3, 0, 2 / 3], [1, 0, 0], [0, 0, 0]]))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["First", "Second", "Similar"]
    written = {(t.get_position()[0], round(t.get_position()[1])): t.get_text() for t in axes.texts}
    assert written[2, 0] == "2"  # Similar, in the place of First
    assert written[0, 1] == "1"


def test_the_ranking_is_drawn_with_scores_across_and_estimates_up(figures: list[Figure]) -> None:
    table = ranking_of(12)
    plot_ranking(table, 0.5, Path("ranking.png"))
    points: Any = figures[0].axes[0].containers[0]
    points = points.lines[0]
    np.testing.assert_allclose(points.get_xdata(), table["score"])
    np.testing.assert_allclose(points.get_ydata(), table["estimate"])


def test_learning_curves_are_drawn_at_their_steps(figures: list[Figure]) -> None:
    plot_learning_curves(RECORDS, Path("curves.png"))
    drawn = {
        (axes.get_title(), line.get_label()): np.asarray(line.get_xydata()).tolist()
        for axes in figures[0].axes
        for line in axes.lines
    }
    assert drawn["Loss", "training: whole loss"] == [[1, 1.5], [2, 1.2]]
    assert drawn["Loss", "validation: cross-entropy"] == [[2, 1.0]]
    assert drawn["Accuracy of the verdict", "validation"] == [[2, 0.4]]


def test_confusion_learning_curves_and_ranking_are_drawn(tmp_path: Path) -> None:
    plot_confusion(CONFUSION, tmp_path / "confusion.png")
    plot_learning_curves(RECORDS, tmp_path / "curves.png")
    plot_ranking(ranking_of(12), 0.5, tmp_path / "ranking.png")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["confusion.png", "curves.png", "ranking.png"]
    for name in names:
        drawn(tmp_path / name)


def test_the_overview_shows_the_five_images_at_either_end(
    tmp_path: Path, image_paths: dict[str, str]
) -> None:
    path = tmp_path / "overview.png"
    plot_overview(ranking_of(12), image_paths, CONFUSION, 0.5, path)
    pixels = drawn(path)
    shown = [(pixels == [20 * index, 90, 90]).all(axis=2).any() for index in range(12)]
    assert shown == [True] * 5 + [False] * 2 + [True] * 5


@pytest.mark.parametrize("num", [2, 3, 9])
def test_few_images_are_shown_once_each(
    tmp_path: Path, image_paths: dict[str, str], num: int
) -> None:
    path = tmp_path / "overview.png"
    plot_overview(ranking_of(num), image_paths, CONFUSION, 0.5, path)
    pixels = drawn(path)
    shown = [(pixels == [20 * index, 90, 90]).all(axis=2).any() for index in range(num)]
    assert sum(shown) == num // 2 * 2


def test_a_constant_judge_can_be_drawn(tmp_path: Path) -> None:
    ranking = ranking_of(4).assign(strength=0.0, estimate=3.0)
    plot_ranking(ranking, 0.0, tmp_path / "ranking.png")
    plot_ranking(ranking.assign(score=3.0), 0.0, tmp_path / "one_point.png")
    drawn(tmp_path / "ranking.png")


def test_the_error_bars_are_in_points_of_score(tmp_path: Path) -> None:
    plot_ranking(ranking_of(12), 0.0, tmp_path / "none.png")
    plot_ranking(ranking_of(12), 0.5, tmp_path / "bars.png")
    plot_ranking(ranking_of(12), -0.5, tmp_path / "negative_slope.png")
    assert (drawn(tmp_path / "bars.png") != drawn(tmp_path / "none.png")).any()
    assert (drawn(tmp_path / "bars.png") == drawn(tmp_path / "negative_slope.png")).all()


def test_a_run_without_validation_or_without_a_record_can_be_drawn(tmp_path: Path) -> None:
    plot_learning_curves(RECORDS[:2], tmp_path / "training_only.png")
    plot_learning_curves([], tmp_path / "nothing.png")
    drawn(tmp_path / "nothing.png")


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        plot_confusion(CONFUSION, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_failure_leaves_the_old_picture_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "confusion.png"
    path.write_bytes(b"old")

    def disk_full(figure: Figure, unfinished: Path, **kwargs: Any) -> None:
        unfinished.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(Figure, "savefig", disk_full)
    with pytest.raises(OSError, match="no space left"):
        plot_confusion(CONFUSION, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_image_that_is_gone_leaves_no_picture(
    tmp_path: Path, image_paths: dict[str, str]
) -> None:
    image_paths["11.png"] = str(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"gone\.png: got missing"):
        plot_overview(ranking_of(12), image_paths, CONFUSION, 0.5, tmp_path / "overview.png")
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_pyplot_and_torch_are_not_imported() -> None:
    """In a process of its own, as another test may import them."""
    code = (
        "import sys, lmol.evaluation.plots; print({'matplotlib.pyplot', 'torch'} & {*sys.modules})"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout == "set()\n"
