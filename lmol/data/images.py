"""The one place that opens images: for training, and once beforehand to find the broken ones."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lmol.errors import DataError

NAMED = 10
"""Broken images that a message names; of the others it gives the number."""

BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    UnidentifiedImageError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow raises for files that are no image, cut short, or too large to decode safely."""


UNBOUNDED = ("I", "F")
"""Pillow's modes of 32 bits, whole and real: what is white in them, no rule tells."""


Picture = str | Path | Image.Image | NDArray[Any]
"""A file, a PIL image, or an array (height, width) or (height, width, 3 or 4)."""


def open_rgb(picture: Picture) -> Image.Image:
    """An upright RGB picture: EXIF orientation applied, transparency over white, grey spread.

    Arrays hold bytes, or real numbers from 0 to 1. Raises DataError for any other.
    """
    if isinstance(picture, str | Path):
        with Image.open(picture) as opened:
            return _upright_rgb(opened)
    if isinstance(picture, Image.Image):
        return _upright_rgb(picture)
    return _upright_rgb(_from_array(picture))


def _upright_rgb(opened: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(opened)
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256).convert("L")
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


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


def check_images(paths: Sequence[str], threads: int = 4) -> None:
    """Decode every image once; raises DataError that names the broken ones, all together."""
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        problems = [problem for problem in pool.map(_problem, paths) if problem]
    if problems:
        more = f"\n  and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        raise DataError(
            "images",
            got=f"{len(problems)} of {len(paths)} that cannot be used:\n  "
            + "\n  ".join(problems[:NAMED])
            + more,
            expected="files that are there, whole, and images of a sane size",
            remedy="replace them, or take them out of the score table",
        )


def _problem(path: str) -> str | None:
    """What is wrong with an image. JPEGs are decoded at an eighth: enough to find their end."""
    if not Path(path).is_file():
        return f"{path}: missing"
    try:
        with Image.open(path) as image:
            image.draft("RGB", (1, 1))
            image.load()
            mode = image.mode
    except BROKEN as error:
        return f"{path}: {_reason(error)}"
    return f"{path}: pixels of 32 bits, without a known range" if mode in UNBOUNDED else None


def _reason(error: Exception) -> str:
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return "a decompression bomb (far more pixels than any photo)"
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    return f"truncated or damaged ({error})"
