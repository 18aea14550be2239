"""Search for the same picture under another file name or in another format.

A training picture must not be held out under another name. n images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

from lmol.data.folds import Split
from lmol.data.images import read_images
from lmol.errors import DataError

NAMED = 3
"""Pairs of images that a message names."""

SIDE = 16
"""Number of frequencies of a perceptual hash, across and down: SIDE * SIDE bits."""

ALIKE = 16
"""Largest number of bits by which the perceptual hashes of near duplicates differ.

A new size, brightness or JPEG quality changes fewer bits. Any two of 800 drawn faces, which are
more similar than photographs, differ by more than 25.
"""

ROWS = 512
"""Number of images compared with all others at a time, which bounds the memory."""


def identities(
    paths: Sequence[str], advance: Callable[[int], None] = lambda images: None
) -> pd.DataFrame:
    """Return two hashes of each file: content, equal if all pixels are, and appearance.

    Every file is opened once, like in training. Raises DataError that names all broken files.
    """
    found = read_images(paths, lambda image: (content_hash(image), perceptual_hash(image)), advance)
    return pd.DataFrame(found, columns=["content", "appearance"], dtype=str)


def content_hash(image: Image.Image) -> str:
    """Return the SHA-256 (hexadecimal) of size and pixels, the same for a PNG and its BMP copy."""
    return hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest()


def perceptual_hash(image: Image.Image) -> str:
    """Return one bit for each of the lowest frequencies (hexadecimal): 1 above their median.

    The hash called pHash by Zauner (2010), Implementation and benchmarking of perceptual image hash
    functions, with 16 x 16 frequencies instead of 8 x 8.
    """
    small = image.convert("L").resize((4 * SIDE, 4 * SIDE), Image.Resampling.LANCZOS)
    low = dctn(np.asarray(small, np.float64), norm="ortho")[:SIDE, :SIDE].ravel()
    return np.packbits(low > np.median(low[1:])).tobytes().hex()


def near_duplicates(images: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Return the images that look like a known one: columns image, known (its closest), bits.

    bits: number of bits that differ. Both tables have the columns image and appearance; the order
    of images stays.
    """
    if images.empty or known.empty:
        return pd.DataFrame({"image": [], "known": [], "bits": []})
    ours, theirs = _signs(images["appearance"]), _signs(known["appearance"])
    closest = [_closest(ours[start : start + ROWS], theirs) for start in range(0, len(ours), ROWS)]
    nearest, bits = (np.concatenate(part) for part in zip(*closest, strict=True))
    table = pd.DataFrame(
        {
            "image": images["image"].to_numpy(),
            "known": known["image"].to_numpy()[nearest],
            "bits": bits,
        }
    )
    return table[table["bits"] <= ALIKE].reset_index(drop=True)


def _signs(appearances: pd.Series) -> NDArray[np.float32]:
    """Return bits as -1 and 1, shape (n, SIDE * SIDE): products of rows count the equal bits."""
    packed = np.frombuffer(bytes.fromhex("".join(appearances)), dtype=np.uint8)
    return np.unpackbits(packed).reshape(len(appearances), -1).astype(np.float32) * 2 - 1


def _closest(
    ours: NDArray[np.float32], theirs: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row of the closest of theirs to each of ours, and how many bits differ."""
    differing = (ours.shape[1] - ours @ theirs.T) / 2
    nearest = differing.argmin(axis=1)
    return nearest, differing[np.arange(len(ours)), nearest].astype(np.int64)


def refuse_leaks(split: Split) -> None:
    """Raise DataError if one picture is in two parts of a split, also as different files.

    The tables of the split have the column content.
    """
    remedy = (
        "remove one of each two from the score table, or give both the same value in the column "
        "that data.source.subject= names; fold.allow_duplicates=true keeps them, but then the "
        "metrics are no longer those of new images"
    )
    where, known = f"fold {split.fold}", pd.concat([split.train, split.validation])
    refuse_known(split.held_out, known, where, remedy)
    refuse_known(split.validation, split.train, where, remedy, part="validation")


def refuse_known(
    images: pd.DataFrame, known: pd.DataFrame, where: str, remedy: str, part: str = "held-out"
) -> None:
    """Raise DataError if an image has the pixels of a known one.

    Both tables have the columns image and content. part: name of the images in the message.
    """
    name_of = dict(zip(known["content"], known["image"], strict=True))
    rows = zip(images["image"], images["content"], strict=True)
    leaks = [f"{image} is {name_of[content]}" for image, content in rows if content in name_of]
    if leaks:
        raise DataError(
            where,
            got=f"{len(leaks)} {part} image(s) that are trained on: {', '.join(leaks[:NAMED])}",
            expected=f"{part} images that are in no other part of the fold under another name",
            remedy=remedy,
        )
