"""Images are opened in one place; broken ones are found before anything is trained."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lmol.data.images import NAMED, check_images, open_rgb
from lmol.errors import DataError


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def bomb(path):
    """A PNG of a few bytes whose header promises 2.5 gigapixels."""
    Image.new("RGB", (1, 1)).save(path)
    whole = path.read_bytes()
    chunk = b"IHDR" + struct.pack(">II", 50_000, 50_000) + whole[24:29]
    path.write_bytes(whole[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + whole[33:])
    return path


def truncated(photo, path):
    path.write_bytes(photo.read_bytes()[:-400])
    return path


def test_whole_images_pass(photo):
    check_images([str(photo)] * 3)


def test_all_broken_images_are_named_at_once_with_what_is_wrong(photo, tmp_path):
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    paths = [
        photo,
        tmp_path / "absent.jpg",
        truncated(photo, tmp_path / "cut.jpg"),
        text,
        bomb(tmp_path / "bomb.png"),
    ]
    with pytest.raises(DataError, match="4 of 5 that cannot be used") as error:
        check_images([str(path) for path in paths])
    message = str(error.value)
    assert "absent.jpg: missing" in message
    assert "cut.jpg: truncated or damaged" in message
    assert "text.jpg: not an image" in message
    assert "bomb.png: a decompression bomb" in message
    assert "photo.jpg" not in message


def test_of_many_broken_images_the_first_are_named_and_the_others_counted(tmp_path):
    with pytest.raises(DataError, match=f"and {NAMED} more"):
        check_images([str(tmp_path / f"{k}.jpg") for k in range(2 * NAMED)])


def test_a_truncated_png_is_found(photo, tmp_path):
    whole = tmp_path / "whole.png"
    open_rgb(photo).save(whole)
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(DataError, match=r"cut\.png: truncated or damaged"):
        check_images([str(cut)])


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "I;16", "1"])
def test_any_mode_becomes_rgb(mode, tmp_path):
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    Image.new(mode, (8, 8)).save(path)
    opened = open_rgb(path)
    assert (opened.mode, opened.size) == ("RGB", (8, 8))


def test_transparency_becomes_white(tmp_path):
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert open_rgb(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bit_grey_keeps_its_brightness(tmp_path):
    Image.fromarray(np.full((4, 4), 128 * 256, dtype=np.uint16)).save(tmp_path / "grey.png")
    assert open_rgb(tmp_path / "grey.png").getpixel((0, 0)) == (128, 128, 128)


def test_the_orientation_of_the_camera_is_applied(tmp_path):
    image = Image.new("RGB", (8, 4))
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert open_rgb(tmp_path / "turned.jpg").size == (4, 8)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_without_a_known_range_are_refused(mode, tmp_path):
    Image.new(mode, (4, 4)).save(tmp_path / "depth.tif")
    with pytest.raises(DataError, match="pixels of 32 bits"):
        check_images([str(tmp_path / "depth.tif")])
