"""Copies of SCUT-FBP5500 as they circulate: other names, other folders."""

import logging
import shutil

import pytest

from lmol.config.schema import FoldConfig, FoldKind
from lmol.data.folds import split_folds
from lmol.data.sources.scut import GROUPS, ScutFBP5500
from lmol.errors import DataError
from tests.data.sources.scut_release import write_release

OFFICIAL = FoldConfig(
    kind=FoldKind.OFFICIAL, index=1, k=5, seed=1, validation=0.2, allow_duplicates=False
)
OLDER = {new: old for old, new in GROUPS.items()}


@pytest.fixture
def release(tmp_path):
    return write_release(tmp_path / "release")


def held_out(root):
    source = ScutFBP5500(root=root)
    return [set(s.held_out["image"]) for s in split_folds(source, source.load().images, OFFICIAL)]


def with_older_names(path):
    lines = path.read_text().splitlines()
    path.write_text("".join(f"{OLDER[line[:2]]}{line[2:]}\n" for line in lines))


@pytest.mark.parametrize("older", ["lists", "labels", "images", "lists and labels"])
def test_older_and_newer_names_may_stand_side_by_side(release, older):
    expected = held_out(release)
    lists = release / "train_test_files"
    if "lists" in older:
        for path in lists.rglob("t*_?.txt"):
            with_older_names(path)
    if "labels" in older:
        with_older_names(lists / "All_labels.txt")
    if "images" in older:
        for path in (release / "Images").iterdir():
            path.rename(path.with_name(OLDER[path.name[:2]] + path.name[2:]))
    assert held_out(release) == expected


def test_two_names_of_one_image_are_an_error(release):
    labels = release / "train_test_files" / "All_labels.txt"
    first = labels.read_text().splitlines()[0]
    labels.write_text(labels.read_text() + OLDER[first[:2]] + first[2:] + "\n")
    with pytest.raises(DataError, match="two names of one image"):
        ScutFBP5500(root=release).load()


def deeper_root(release):
    (release.parent / "copy").mkdir()
    release.rename(release.parent / "copy" / "SCUT-FBP5500_v2")
    return release.parent / "copy"


def deeper_images(release):
    (release / "Images").rename(release / "pictures")
    (release / "Images").mkdir()
    (release / "pictures").rename(release / "Images" / "Images")
    return release


def deeper_lists(release):
    (release / "train_test_files").rename(release / "lists")
    (release / "data").mkdir()
    (release / "lists").rename(release / "data" / "train_test_files")
    return release


@pytest.mark.parametrize("move", [deeper_root, deeper_images, deeper_lists])
def test_a_copy_whose_parts_lie_deeper_is_found_and_said(release, caplog, move):
    expected = held_out(release)
    with caplog.at_level(logging.INFO):
        assert held_out(move(release)) == expected
    assert "does not exist; using" in caplog.text


def test_two_copies_below_one_root_are_an_error_that_names_both(release):
    shutil.copytree(release, release.parent / "both" / "one")
    shutil.copytree(release, release.parent / "both" / "two")
    with pytest.raises(DataError, match=r"2 others: .*one.*two"):
        ScutFBP5500(root=release.parent / "both").load()
