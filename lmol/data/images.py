"""Opening of image files, only in this module: in training, and before it to find broken ones."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from lmol.errors import DataError

NAMED = 10
"""Largest number of broken images that a message names; it counts the others."""

BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    ArithmeticError,
    TypeError,
    EOFError,
    RuntimeError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""Pillow's exceptions for files that are no image, damaged, or too large to decode safely.

RuntimeError is of damaged AVIF files and, as NotImplementedError, of DDS and BLP ones.
"""

UNBOUNDED = ("I", "F")
"""Pillow's modes of 32 bits, integer and real; their value of white is not defined."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Operation that undoes each EXIF orientation (CIPA DC-008, tag 0x0112); 1 is upright."""

Result = TypeVar("Result")

Picture = str | Path | Image.Image | NDArray[Any]
"""A file, a PIL image, or an array (height, width) or (height, width, 3 or 4)."""


def open_rgb(picture: Picture) -> Image.Image:
    """Return an upright RGB picture: EXIF orientation applied, transparency on white, grey as RGB.

    Arrays hold bytes, or real numbers from 0 to 1. Raises DataError for any other array, and for a
    file that is missing or no image; it names the file.
    """
    if isinstance(picture, str | Path):
        return _open_file(picture)
    if isinstance(picture, Image.Image):
        return _upright_rgb(picture)
    return _upright_rgb(_from_array(picture))


def _open_file(path: str | Path) -> Image.Image:
    try:
        with Image.open(path) as opened:
            return _upright_rgb(opened)
    except DataError as error:
        got = error.got
    except BROKEN as error:
        got = _reason(error)
    raise DataError(
        path,
        got=got,
        expected="an image file that exists, is complete, and has a reasonable size",
        remedy="put it back or replace it, or take it out of the table",
    )


def _upright_rgb(opened: Image.Image) -> Image.Image:
    image = _upright(opened)
    if image.mode in UNBOUNDED:
        raise DataError(
            "image",
            got="pixels of 32 bits, without a known range",
            expected="8 or 16 bits per channel",
            remedy="convert it, for example to an 8-bit PNG",
        )
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256).convert("L")
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _upright(opened: Image.Image) -> Image.Image:
    """Turn the image by the camera's orientation.

    It reads only that one tag. Pillow's exif_transpose also rewrites the other tags, and fails on
    tags that some cameras store wrongly, such as a resolution of 0/0.
    """
    opened.load()  # a PNG may carry its EXIF data behind the pixels
    turn = UPRIGHT.get(opened.getexif().get(ExifTags.Base.Orientation, 1))
    if turn is None:
        return opened
    upright = opened.transpose(turn)
    # Without the metadata, whose orientation would turn the image again when it is opened again.
    upright.info = {key: upright.info[key] for key in ("transparency",) if key in upright.info}
    return upright


def _from_array(array: NDArray[Any]) -> Image.Image:
    real = array.dtype.kind == "f" and array.size > 0 and 0 <= array.min() <= array.max() <= 1
    flat = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if not flat or not (real or array.dtype == np.uint8):
        raise DataError(
            "image array",
            got=f"shape {array.shape} of {array.dtype}",
            expected="(height, width) or (height, width, 3 or 4), bytes or real numbers 0 to 1",
            remedy="move the channels last, and scale the numbers",
        )
    return Image.fromarray((array * 255).round().astype(np.uint8) if real else array)


def read_images(
    paths: Sequence[str],
    of: Callable[[Image.Image], Result],
    advance: Callable[[int], None] = lambda images: None,
) -> list[Result]:
    """Apply `of` to every image, each opened once by open_rgb, like in training and evaluation.

    advance: called with 1 after each image. Raises one DataError that names the broken files.
    """
    results: list[Any] = []
    with warnings.catch_warnings(), ThreadPoolExecutor(4) as pool:
        _only_bombs_matter()
        for result in pool.map(lambda path: _read(path, of), paths):
            results.append(result)
            advance(1)
    broken = [f"{e.where}: {e.got}" for e in results if isinstance(e, DataError)]
    if broken:
        more = [f"and {len(broken) - NAMED} more"] if len(broken) > NAMED else []
        listed = "\n  ".join([*broken[:NAMED], *more])
        raise DataError(
            "images",
            got=f"{len(broken)} of {len(paths)} that cannot be used:\n  {listed}",
            expected="image files that exist, are complete, and have a reasonable size",
            remedy="replace them, or take them out of the score table",
        )
    return results


def _only_bombs_matter() -> None:
    """Make the warning about too many pixels an error; ignore those about tags and old formats.

    Pillow's warnings do not name the file, and its pixels are read all the same, or it is refused.
    """
    for kind in (UserWarning, DeprecationWarning):
        warnings.simplefilter("ignore", kind)
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def _read(path: str, of: Callable[[Image.Image], Result]) -> Result | DataError:
    """Return the result, or the error about the file."""
    try:
        return of(open_rgb(path))
    except DataError as error:
        return error


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "missing"
    if isinstance(error, PermissionError | IsADirectoryError):
        return f"unreadable ({error.strerror})"
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return "a decompression bomb (far more pixels than any photo)"
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    return f"truncated or damaged ({error})"
