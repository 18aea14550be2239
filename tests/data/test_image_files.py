"""A folder of photos: what is taken, and what is passed over for which reason."""

import logging
import os

import pytest
from PIL import Image

from lmol.data.formats import HEIF, read_suffixes
from lmol.data.image_files import (
    DANGLING,
    HIDDEN,
    KNOWN,
    OTHER,
    UNREAD,
    UNREADABLE,
    find_images,
    refuse_unwritable,
)
from lmol.data.pictures import passed_over, picture_table
from lmol.errors import DataError


def photo(path, color=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (color, 0, 0)).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    photo(root / "a.jpg", 1)
    photo(root / "sub" / "b.PNG", 2)
    return root


def names(found, root):
    return [str(file.relative_to(root)) for file in found.files]


def test_photos_at_any_depth_are_taken(folder):
    found = find_images(folder)
    assert names(found, folder) == ["a.jpg", "sub/b.PNG"]
    assert found.passed_over == {}


@pytest.mark.parametrize(
    "name", [".ipynb_checkpoints/a.jpg", ".thumbnails/a.png", "._a.jpg", "__MACOSX/a.jpg"]
)
def test_what_systems_and_editors_keep_beside_photos_is_passed_over(folder, name):
    photo(folder / name)
    found = find_images(folder)
    assert names(found, folder) == ["a.jpg", "sub/b.PNG"]
    assert found.counts() == {HIDDEN: 1}


@pytest.mark.parametrize("name", ["a.h5", "a.mpg", "a.eps", "notes.txt", "a.wmf", "favicon.ico"])
def test_what_is_no_photo_does_not_spoil_the_folder(folder, name):
    (folder / name).write_bytes(b"no photo")
    found = find_images(folder)
    assert names(found, folder) == ["a.jpg", "sub/b.PNG"]
    assert found.counts() == {OTHER: 1}
    assert len(picture_table(folder)) == 2


def test_linked_folders_are_read_once_each_and_loops_end(folder, tmp_path):
    photo(tmp_path / "elsewhere" / "c.jpg", 3)
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(folder / "sub")
    (folder / "loop").symlink_to(folder)
    found = find_images(folder)
    assert names(found, folder) == ["a.jpg", "more/c.jpg", "sub/b.PNG"]
    assert found.passed_over == {KNOWN: ["again", "loop"]}


def test_links_to_nothing_and_unknown_photos_are_named_in_a_warning(folder, caplog):
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "raw.nef").write_bytes(b"raw")
    with caplog.at_level(logging.INFO):
        table = picture_table(folder)
    assert passed_over(table) == {DANGLING: 1, UNREAD: 1}
    [record] = [r for r in caplog.records if "taken" in r.getMessage()]
    assert record.levelno == logging.WARNING
    assert "2 image(s) taken" in record.getMessage()
    assert "gone.jpg" in record.getMessage()
    assert "raw.nef" in record.getMessage()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_counted(folder):
    (folder / "sub").chmod(0)
    assert find_images(folder).counts() == {UNREADABLE: 1}


@pytest.mark.skipif(bool(HEIF & read_suffixes()), reason="pillow-heif is installed")
def test_heic_without_its_library_is_named_with_the_remedy(folder):
    (folder / "phone.HEIC").write_bytes(b"heic")
    assert "pip install" in find_images(folder).description()
    with pytest.raises(DataError, match=r"1 HEIC image\(s\).*\n.*pip install"):
        picture_table([folder / "a.jpg", folder / "phone.HEIC"])


def test_a_folder_without_photos_says_what_is_in_it(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match=r"no image in .*0 image\(s\) taken; .*notes\.txt"):
        picture_table(tmp_path)


def test_one_file_may_be_named_by_its_absolute_path(folder):
    assert picture_table(str(folder / "a.jpg"))["path"].tolist() == [str(folder / "a.jpg")]


def test_a_path_that_is_not_there_says_so(folder):
    with pytest.raises(DataError, match=r"nowhere.*No such file"):
        picture_table(str(folder / "nowhere"))


def test_a_name_that_results_cannot_hold_is_refused_before_anything_is_judged(folder):
    os.rename(folder / "a.jpg", os.fsencode(folder) + b"/caf\xe9.jpg")  # noqa: PTH104
    with pytest.raises(DataError, match=r"not UTF-8 .*, caf.*first"):
        picture_table(folder)
    with pytest.raises(DataError, match=r"1 name\(s\)"):
        refuse_unwritable(["a.jpg", "\udce9.jpg"])
