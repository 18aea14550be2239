"""From a source to the pairs of a fold."""

import pandas as pd
import pytest
from PIL import Image

from lmol.data.preparation import load_data
from lmol.data.sources.score_table import ScoreTable
from lmol.errors import DataError


@pytest.fixture
def source(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    table = tmp_path / "scores.csv"

    def of(*images):
        pd.DataFrame({"image": images, "score": 1.0}).to_csv(table, index=False)
        return ScoreTable(root=tmp_path, table=table, min_score=0, max_score=5)

    return of


def test_equal_pictures_in_two_files_are_two_images(source):
    assert len(load_data(source("a.png", "b.png")).images) == 2


@pytest.mark.parametrize("name", ["./a.png", "link.png", "sub/../a.png"])
def test_one_file_under_two_names_is_an_error(source, tmp_path, name):
    (tmp_path / "sub").mkdir()
    one, other = sorted(["a.png", name])
    with pytest.raises(DataError, match=f"one file under the names {one} and {other}"):
        load_data(source("b.png", "a.png", name))


def test_the_order_of_the_table_has_no_effect(source):
    one, other = load_data(source("a.png", "b.png")), load_data(source("b.png", "a.png"))
    pd.testing.assert_frame_equal(one.images, other.images)
