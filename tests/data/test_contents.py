"""One picture is found again under other names, in other formats, and nearly so."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from lmol.data.contents import identities, near_duplicates, refuse_leaks
from lmol.data.folds import Split
from lmol.data.images import open_rgb
from lmol.errors import DataError


@pytest.fixture(scope="module")
def looks(faces):
    return faces.join(identities(faces["path"].tolist()))


def jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


COPIES = {
    "smaller": lambda image: image.resize((40, 40)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "compressed": lambda image: jpeg(image, 70),
}


def saved(image, path):
    image.save(path)
    return str(path)


def test_a_picture_is_the_same_in_every_lossless_format_and_orientation(faces, tmp_path):
    picture = open_rgb(faces["path"][0])
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[0x0112] = 6
    files = [saved(picture, tmp_path / f"a.{end}") for end in ("png", "bmp", "tif", "webp")]
    Image.open(files[0]).save(files[3], lossless=True)
    turned.save(tmp_path / "turned.png", exif=turned.getexif())
    found = identities([*files, str(tmp_path / "turned.png")])
    assert found["content"].nunique() == 1


def test_a_picture_that_differs_in_one_pixel_is_another(faces, tmp_path):
    picture = open_rgb(faces["path"][0])
    changed = picture.copy()
    changed.putpixel((0, 0), (1, 2, 3))
    found = identities([faces["path"][0], saved(changed, tmp_path / "changed.png")])
    assert found["content"].nunique() == 2


@pytest.mark.parametrize("change", COPIES)
def test_a_changed_copy_is_a_near_duplicate_of_its_original(looks, tmp_path, change):
    chosen = looks.iloc[::6].reset_index(drop=True)
    files = [
        saved(COPIES[change](open_rgb(path)), tmp_path / f"{row}.png")
        for row, path in enumerate(chosen["path"])
    ]
    copies = pd.DataFrame({"image": files}).join(identities(files))
    found = near_duplicates(copies, looks)
    assert found["image"].tolist() == files
    assert found["known"].tolist() == chosen["image"].tolist()


def test_different_faces_are_no_near_duplicates(looks):
    assert near_duplicates(looks.iloc[:30], looks.iloc[30:]).empty


def test_nothing_is_a_near_duplicate_of_nothing(looks):
    assert near_duplicates(looks.iloc[:0], looks).empty
    assert near_duplicates(looks, looks.iloc[:0]).empty


@pytest.mark.parametrize(
    ("copied", "part"), [("train", "held-out"), ("validation", "held-out"), ("train", "validation")]
)
def test_one_picture_in_two_parts_of_a_fold_is_refused(looks, copied, part):
    parts = {
        "train": looks.iloc[:20],
        "validation": looks.iloc[20:30],
        "held-out": looks.iloc[30:40],
    }
    refuse_leaks(split_of(parts))
    twin = parts[copied].iloc[[3]].assign(image="twin.bmp")
    name = twin["image"].index[0]
    parts[part] = pd.concat([parts[part], twin])
    original = looks["image"][name]
    with pytest.raises(DataError, match=rf"1 {part} image\(s\) .*: twin\.bmp is {original}"):
        refuse_leaks(split_of(parts))


def split_of(parts):
    return Split(
        fold=1,
        train=parts["train"],
        validation=parts["validation"],
        held_out=parts["held-out"],
    )


def test_hashes_do_not_depend_on_the_number_of_threads_or_the_order(looks):
    backwards = looks.iloc[::-1]
    again = identities(backwards["path"].tolist())
    assert np.array_equal(again["content"], backwards["content"])
    assert np.array_equal(again["appearance"], backwards["appearance"])
