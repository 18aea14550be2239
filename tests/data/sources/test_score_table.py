"""Score tables: SCUT-FBP5500 as it circulates, any CSV, and every bad line named file:line."""

import numpy as np
import pytest
from PIL import Image

from lmol.data.data_set import data_hash
from lmol.data.images import open_rgb
from lmol.data.sources.label_file import read_labels
from lmol.data.sources.score_table import ScoreTable
from lmol.data.sources.scut import ScutFBP5500
from lmol.errors import DataError
from tests.data.sources.scut_release import write_release


@pytest.fixture
def labels(tmp_path):
    def write(text):
        path = tmp_path / "labels.txt"
        path.write_text(text)
        return path

    return write


def test_label_lines_are_read_in_order(labels):
    assert read_labels(labels("b.jpg 2.5\n\na.jpg\t3\n"), 1, 5) == {"b.jpg": 2.5, "a.jpg": 3.0}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("CF2.jpg", "got 'CF2.jpg'; expected an image name and a score"),
        ("CF2.jpg 3 4", "expected an image name and a score"),
        ("CF1.jpg 2", "got CF1.jpg a second time"),
        ("CF2.jpg high", "got score 'high'; expected a number from 1 to 5"),
        ("CF2.jpg nan", "got score 'nan'"),
        ("CF2.jpg inf", "got score 'inf'"),
        ("CF2.jpg 0.5", "got score '0.5'"),
        ("CF2.jpg 5.01", "got score '5.01'"),
    ],
)
def test_a_bad_label_line_is_named(labels, line, message):
    path = labels(f"CF1.jpg 3\n{line}\nCF3.jpg 3\n")
    with pytest.raises(DataError) as error:
        read_labels(path, 1, 5)
    assert str(error.value).startswith(f"{path}:2: ")
    assert message in str(error.value)


def test_an_empty_label_file_is_an_error(labels):
    with pytest.raises(DataError, match="an empty file"):
        read_labels(labels("\n"), 1, 5)


@pytest.mark.parametrize("older_names", [False, True])
def test_both_generations_of_scut_names_have_their_groups(tmp_path, older_names):
    scores = ScutFBP5500(root=write_release(tmp_path, older_names=older_names)).load().images
    assert sorted(scores["group"].unique()) == ["AF", "AM", "CF", "CM"]
    assert len(scores) == 40
    assert all(open_rgb(path).size == (8, 8) for path in scores["path"])


def test_lists_with_older_names_find_images_with_newer_ones(tmp_path):
    root = write_release(tmp_path, older_names=True)
    newer = {"fty": "AF", "mty": "AM", "ftw": "CF", "mtw": "CM"}
    for path in list((root / "Images").iterdir()):
        path.rename(path.with_name(newer[path.name[:3]] + path.name[3:]))
    scores = ScutFBP5500(root=root).load().images
    assert all(open_rgb(path).size == (8, 8) for path in scores["path"])


def test_a_copy_with_labels_alone_is_read(tmp_path):
    root = write_release(tmp_path)
    (root / "train_test_files" / "All_labels.txt").rename(root / "labels.txt")
    assert len(ScutFBP5500(root=root).load().images) == 40


@pytest.mark.parametrize("root", [None, "/nowhere"])
def test_a_missing_root_says_where_to_get_the_data_and_its_tree(root):
    with pytest.raises(DataError) as error:
        ScutFBP5500(root=root).load()
    for part in ("data.root", "HCIILAB/SCUT-FBP5500-Database-Release", "non-commercial", "Images/"):
        assert part in str(error.value)


def test_a_root_without_labels_says_what_is_missing(tmp_path):
    (tmp_path / "Images").mkdir()
    with pytest.raises(DataError, match=r"All_labels\.txt: got nothing there"):
        ScutFBP5500(root=tmp_path).load()


@pytest.fixture
def table(tmp_path):
    def write(text, **changes):
        (tmp_path / "scores.csv").write_text(text)
        settings = {"root": tmp_path, "table": "scores.csv", "min_score": 0, "max_score": 10}
        return ScoreTable(**{**settings, **changes})

    return write


def test_a_csv_may_have_groups_and_other_columns(table, tmp_path):
    scores = table("score,image,camera,group\n1,a.jpg,x,old\n9.5,sub/b.jpg,y,new\n").load().images
    assert scores["image"].tolist() == ["a.jpg", "sub/b.jpg"]
    assert scores["score"].tolist() == [1.0, 9.5]
    assert scores["group"].tolist() == ["old", "new"]
    assert scores["path"].tolist() == [str(tmp_path / "a.jpg"), str(tmp_path / "sub/b.jpg")]


def test_names_in_quotes_may_hold_commas(table):
    assert table('image,score\n"a, b.jpg",1\n').load().images["image"].tolist() == ["a, b.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture,score\na,1\n", ":1: got no column image"),
        ("image,score\na,1\na,2\n", ":3: got a a second time"),
        ("image,score\na,1\nb,11\n", ":3: got score '11'; expected a number from 0 to 10"),
        ("image,score\na,\n", ":2: got score ''"),
        ("image,score\na\n", ":2: got a row without exactly one value"),
        ("image,score\na,1,2\n", ":2: got a row without exactly one value"),
        ("image,score\n", ": got no rows"),
    ],
)
def test_a_bad_csv_row_is_named(table, text, message):
    with pytest.raises(DataError) as error:
        table(text).load()
    assert f"scores.csv{message}" in str(error.value)


def test_a_missing_table_is_an_error(table):
    with pytest.raises(DataError, match=r"data\.source\.table: got absent\.csv"):
        table("", table="absent.csv").load()


def test_the_data_hash_tells_scores_and_images_apart(tmp_path):
    source = ScutFBP5500(root=write_release(tmp_path))
    scores = source.load().images
    before = data_hash(scores)
    assert data_hash(source.load().images) == before
    assert data_hash(scores.assign(score=scores["score"] + 0.1)) != before
    noise = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).save(scores["path"][0])
    assert data_hash(scores) != before


def test_a_file_in_another_encoding_is_an_error(table, tmp_path):
    source = table("")
    (tmp_path / "scores.csv").write_bytes("image,score\nJosé.jpg,1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"scores\.csv: .*expected text in UTF-8"):
        source.load()
