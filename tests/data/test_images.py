"""Images are opened in one place; broken ones are found before anything is trained."""

import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, ImageOps

from lmol.data.contents import identities
from lmol.data.images import NAMED, open_rgb
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
    identities([str(photo)] * 3)


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
        identities([str(path) for path in paths])
    message = str(error.value)
    assert "absent.jpg: missing" in message
    assert "cut.jpg: truncated or damaged" in message
    assert "text.jpg: not an image" in message
    assert "bomb.png: a decompression bomb" in message
    assert "photo.jpg" not in message


def test_of_many_broken_images_the_first_are_named_and_the_others_counted(tmp_path):
    with pytest.raises(DataError, match=f"and {NAMED} more"):
        identities([str(tmp_path / f"{k}.jpg") for k in range(2 * NAMED)])


def test_a_truncated_png_is_found(photo, tmp_path):
    whole = tmp_path / "whole.png"
    open_rgb(photo).save(whole)
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(DataError, match=r"cut\.png: truncated or damaged"):
        identities([str(cut)])


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
    upright = open_rgb(tmp_path / "turned.jpg")
    assert upright.size == (4, 8)
    assert open_rgb(upright).size == (4, 8), "an opened image is turned again"


def with_orientation(image, path, number, resolution):
    """A JPEG whose EXIF data has an orientation and, as text or 0/0, a resolution."""
    tags = struct.pack("<HHIHH", 0x0112, 3, 1, number, 0)  # orientation, SHORT
    if resolution == "text":
        tags += struct.pack("<HHI4s", 0x011A, 2, 4, b"72\0\0")  # XResolution as ASCII
        behind = b""
    else:
        tags += struct.pack("<HHII", 0x011A, 5, 1, 8 + 2 + 24 + 4)  # as RATIONAL, behind the tags
        behind = struct.pack("<II", 0, 0)
    tiff = b"II*\0" + struct.pack("<IH", 8, 2) + tags + struct.pack("<I", 0) + behind
    image.save(path, exif=b"Exif\0\0" + tiff)


@pytest.mark.parametrize("resolution", ["text", "0/0"])
def test_a_turned_photo_with_a_resolution_that_is_no_number_is_opened(tmp_path, resolution):
    path = tmp_path / "phone.jpg"
    with_orientation(Image.new("RGB", (8, 4)), path, 6, resolution)
    with Image.open(path) as stored:
        assert stored.getexif()[0x0112] == 6
    assert open_rgb(path).size == (4, 8)
    identities([str(path)])


@pytest.mark.parametrize("number", range(1, 9))
def test_every_orientation_is_undone_as_pillow_does(number):
    image = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6))
    image.getexif()[0x0112] = number
    expected = ImageOps.exif_transpose(image).convert("RGB")
    assert np.array_equal(np.asarray(open_rgb(image)), np.asarray(expected))


def test_what_the_check_passes_can_be_opened(photo, tmp_path):
    """A file cut at any place is refused by the check, or opens."""
    whole = photo.read_bytes()
    for end in range(0, len(whole), len(whole) // 20):
        path = tmp_path / "cut.jpg"
        path.write_bytes(whole[:end])
        with suppress(DataError):
            identities([str(path)])
            open_rgb(path)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_without_a_known_range_are_refused(mode, tmp_path):
    Image.new(mode, (4, 4)).save(tmp_path / "depth.tif")
    with pytest.raises(DataError, match="pixels of 32 bits"):
        identities([str(tmp_path / "depth.tif")])


def test_such_pixels_in_memory_are_refused_too():
    with pytest.raises(DataError, match="pixels of 32 bits"):
        open_rgb(Image.new("F", (4, 4)))
