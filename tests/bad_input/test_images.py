"""Images of every format with any fault: opened as in training, or refused by their names."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from lmol.data.contents import identities
from lmol.data.images import open_rgb
from tests.bad_input.attempts import FULL, SIZES, Attempts, cases

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F")
FORMATS = sorted(set(Image.SAVE) & set(Image.OPEN) - {"EPS", "WMF", "GRIB", "BUFR", "HDF5"})
"""Formats that Pillow writes and reads by itself."""

STARTS = [
    b"GRIB\0\0\0\1", b"BUFR\0\0\0\4", b"\x89HDF\r\n\x1a\n", b"SIMPLE  =                    T",
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"\xd7\xcd\xc6\x9a\0\0", b"\0\0\1\xba",
    b"8BPS\0\1", b"\x59\xa6\x6a\x95\0\0\0\x08\0\0\0\x08", b"\xb1\x68\xde\x3a\1\2\1\0",
    b"PFM\n8 8\n",
    b"\x80\xe8\0\0\0\0\0\0", b"FTEX", b"\0\0\0\x1c\0\0\0\2", b"#define w_width 8\n", b"/* XPM */\n",
    b"P7 332\n", b"\0\0\2\0\1\0", b"\x00\x00\x00\x20ftypavif", b"\xff\x4f\xff\x51", b"\xff\xd8\xff",
    b"II*\0", b"MM\0*", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X", b"\x89PNG\r\n\x1a\n", b"qoif", b"BM",
    b"P6\n99999999 99999999\n255\n", b"P1\n8 8\n2", b"\n\1\0\0", b"\1\xda\1\1", b"DDS |\0\0\0",
]  # fmt: skip
"""First bytes of formats, also of those that Pillow only reads."""

STEPS = 20
"""Number of places at which a file is cut: at every 5 % of its length."""


def noise(mode: str, size: tuple[int, int] = (12, 8)) -> Image.Image:
    """An image of random pixels."""
    bands = Image.merge(
        "RGBA", [Image.effect_noise(size, 90).point(lambda v, k=k: v ^ k) for k in range(4)]
    )
    if mode in ("I;16", "I", "F"):
        return bands.convert("L").convert("I").convert(mode)
    return bands.convert("L").convert(mode) if mode == "PA" else _converted(bands, mode)


def _converted(image: Image.Image, mode: str) -> Image.Image:
    rgb = image.convert("RGB")
    if mode == "LAB":
        return Image.merge("LAB", rgb.split())
    return image.convert(mode) if mode in ("RGBA", "LA") else rgb.convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes | None:
    """The file of an image, or None if the format does not hold such an image."""
    file = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the format IM
            image.save(file, format=kind, **options)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return file.getvalue()


def whole_files(modes: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Files that are not damaged: every format in modes, turned, animated, 1 x 1, 20,000 x 1."""
    turned = Image.Exif()
    turned[0x0112] = 6
    for kind in FORMATS:
        options = {"GIF", "WEBP", "PNG", "TIFF", "AVIF", "MPO"} & {kind}
        made = [(mode, saved(noise(mode), kind)) for mode in modes]
        made += [("turned", saved(noise("RGB"), kind, exif=turned))]
        made += [("1x1", saved(noise("RGB", (1, 1)), kind))]
        if kind != "AVIF":  # encoding takes seconds
            made += [("20000x1", saved(noise("L", (20_000, 1)), kind))]
            made += [("1x20000", saved(noise("RGB", (1, 20_000)), kind))]
        if options:
            frames = [noise("RGB"), noise("RGB")]
            made += [("frames", saved(noise("RGB"), kind, save_all=True, append_images=frames))]
        yield from ((f"{kind} {name}", data) for name, data in made if data)


def png_of(width: int, height: int, depth: int = 8, color: int = 2) -> bytes:
    """A PNG of a few bytes that claims a size."""
    facts = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    chunks = [(b"IHDR", facts), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def bombs() -> Iterator[bytes]:
    """Small files that claim many pixels, or unpack to many bytes."""
    for width, height in ((0, 0), (1, 0), (8000, 8000), (50_000, 50_000), (2**31 - 1, 1)):
        yield png_of(width, height)
        yield b"BM" + struct.pack("<IIIIiiHHIIiiII", 99, 0, 54, 40, width, height, 1, 24, *[0] * 6)
        yield (
            b"GIF89a" + struct.pack("<HHBBB", width % 65536, height % 65536, 0xF0, 0, 0) + b"\0" * 9
        )
        yield b"P6\n%d %d\n255\n" % (width, height)
        yield b"qoif" + struct.pack(">IIBB", width, height, 3, 0) + bytes(8)
    text = b"tEXt" + b"a\0"
    packed = b"zTXt" + b"a\0\0" + zlib.compress(bytes(10_000_000))
    for chunk in (text * 1000, packed):
        head = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        yield png_of(4, 4)[:33] + head + png_of(4, 4)[33:]


def open_as_in_training(attempt: Attempts, path: Path, fault: str, content: bytes) -> None:
    """Check and open a file. What the check passes can be opened, and is RGB."""
    path.write_bytes(content)
    checked = attempt(fault, lambda: identities([str(path)]), (path,))
    if checked is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's about tags and old formats stop nothing
            opened = open_rgb(path)
        assert opened.mode == "RGB"
        assert min(opened.size) >= 1


@pytest.mark.parametrize("num_cases", SIZES)
def test_images(
    tmp_path: Path,
    attempts: Callable[[str, Path], Attempts],
    num_cases: int,
) -> None:
    attempt, path = attempts("images", tmp_path), tmp_path / "image"
    path.touch()
    files = list(whole_files(MODES if num_cases >= FULL else ("RGB", "LA")))
    chosen = files[:: max(1, 4 * STEPS * len(files) // num_cases)]
    for name, content in chosen:
        open_as_in_training(attempt, path, "whole " + name.split()[1], content)
        for step in range(STEPS):
            cut = content[: len(content) * step // STEPS]
            open_as_in_training(attempt, path, "cut " + name.split()[0], cut)
    for content in bombs():
        open_as_in_training(attempt, path, "bomb", content)

    @cases(num_cases)
    @given(data=st.data())
    def damage(data: st.DataObject) -> None:
        name, whole = data.draw(st.sampled_from(files))
        content = bytearray(whole)
        last = len(content) - 1
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.one_of(st.integers(0, min(last, 60)), st.integers(0, last)))
            content[place] = data.draw(st.one_of(st.sampled_from([0, 255]), st.integers(0, 255)))
        open_as_in_training(attempt, path, "damaged " + name.split()[0], bytes(content))

    damage()

    @cases(num_cases // 2)
    @given(start=st.sampled_from(STARTS), rest=st.binary(max_size=200))
    @example(start=b"", rest=b"")
    def begin(start: bytes, rest: bytes) -> None:
        open_as_in_training(attempt, path, "begun", start + rest)

    begin()
