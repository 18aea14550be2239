"""Tables as people have them: other signs between columns, other headers, bad scores."""

import logging
from pathlib import Path

import pytest
from PIL import Image

from lmol.data.pictures import picture_table
from lmol.data.sources.score_table import ScoreTable
from lmol.errors import DataError


def source(tmp_path, text):
    (tmp_path / "scores.csv").write_text(text)
    return ScoreTable(root=tmp_path, table=Path("scores.csv"), min_score=1, max_score=5)


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical")])
def test_other_signs_between_columns_are_read_and_named(tmp_path, caplog, sign, name):
    text = f"image{sign}score\na, b.jpg{sign}2\nc.jpg{sign}3\n"
    with caplog.at_level(logging.INFO):
        table = source(tmp_path, text).load().images
    assert table["image"].tolist() == ["a, b.jpg", "c.jpg"]
    assert f"read with {name}" in caplog.text


def test_a_missing_column_names_what_was_read(tmp_path):
    with pytest.raises(DataError) as error:
        source(tmp_path, "file;rating\na.jpg;2\n").load()
    message = str(error.value)
    assert "no column image, score" in message
    assert "read were 'file', 'rating', with semicolons between them" in message


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"scores\.csv:1: got 2 columns with the name score"):
        source(tmp_path, "image,score,score\na.jpg,2,3\n").load()


def test_bad_scores_are_counted_and_the_first_named(tmp_path):
    rows = "".join(f"{row}.jpg,{score}\n" for row, score in enumerate(["2", "bad", "9", "", "x"]))
    with pytest.raises(DataError) as error:
        source(tmp_path, "image,score\n" + rows).load()
    message = str(error.value)
    assert "scores.csv:3: got score 'bad'" in message
    assert "3 more that cannot be used (line 4: score '9'" in message


def test_a_decimal_comma_has_its_remedy(tmp_path):
    with pytest.raises(DataError, match="write decimals with a point"):
        source(tmp_path, "image;score\na.jpg;2,5\n").load()


def test_tables_of_pictures_are_read_alike(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "p.csv").write_text("image;score\na.png;2.5\n")
    assert picture_table(tmp_path / "p.csv")["score"].tolist() == [2.5]
    (tmp_path / "p.csv").write_text("image,score\na.png,high\n")
    with pytest.raises(DataError, match=r"p\.csv:2: got score 'high'"):
        picture_table(tmp_path / "p.csv")
