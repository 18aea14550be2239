"""Find the same picture again under another file name or in another format.

A picture that is trained on must not be held out under another name. n images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

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
"""Frequencies of a perceptual hash, across and down: SIDE * SIDE bits."""

ALIKE = 16
"""Bits by which the perceptual hashes of near duplicates differ, at most.

A new size, brightness or JPEG quality changes fewer than that; of 800 drawn faces, which are more
alike than photographs, no two are within 25.
"""

ROWS = 512
"""Images whose hashes are compared with all others at a time, which bounds the memory."""


class Identity(NamedTuple):
    """content: equal where all pixels are. appearance: a perceptual hash, in hexadecimal."""

    content: str
    appearance: str


def identities(
    paths: Sequence[str], advance: Callable[[int], None] = lambda images: None
) -> pd.DataFrame:
    """Columns content and appearance, one row a file.

    Every file is opened once, as training opens it. Raises DataError that names all broken ones.
    """
    found = read_images(paths, identity, advance)
    return pd.DataFrame(found, columns=Identity._fields, dtype=str)


def identity(image: Image.Image) -> Identity:
    """The identity of an upright RGB picture, as open_rgb returns it."""
    return Identity(content=content_hash(image), appearance=perceptual_hash(image))


def content_hash(image: Image.Image) -> str:
    """SHA-256 (hexadecimal) of size and pixels: the same for a PNG and a BMP of one picture."""
    return hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest()


def perceptual_hash(image: Image.Image) -> str:
    """Which of the lowest frequencies are above their median, as bits (hexadecimal).

    The hash called pHash by Zauner (2010), Implementation and benchmarking of perceptual image hash
    functions, with 16 x 16 frequencies instead of 8 x 8.
    """
    small = image.convert("L").resize((4 * SIDE, 4 * SIDE), Image.Resampling.LANCZOS)
    low = dctn(np.asarray(small, np.float64), norm="ortho")[:SIDE, :SIDE].ravel()
    return np.packbits(low > np.median(low[1:])).tobytes().hex()


def near_duplicates(images: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Images that look like a known one: columns image, known (its closest), bits that differ.

    Both tables have the columns image and appearance; images are in the order of the table.
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
    """Bits as -1 and 1, shape (n, SIDE * SIDE): the product of two rows counts the equal ones."""
    packed = np.frombuffer(bytes.fromhex("".join(appearances)), dtype=np.uint8)
    return np.unpackbits(packed).reshape(len(appearances), -1).astype(np.float32) * 2 - 1


def _closest(
    ours: NDArray[np.float32], theirs: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row of the closest of theirs to each of ours, and the bits by which the two differ."""
    differing = (ours.shape[1] - ours @ theirs.T) / 2
    nearest = differing.argmin(axis=1)
    return nearest, differing[np.arange(len(ours)), nearest].astype(np.int64)


def refuse_leaks(split: Split) -> None:
    """Raise DataError where one picture is in two parts of a split, also as different files.

    The tables of the split have the column content.
    """
    remedy = (
        "take one of each two out of the score table, or give both one value in a column that "
        "data.source.subject= names; fold.allow_duplicates=true keeps them, and the numbers are "
        "then no longer of unseen images"
    )
    where, known = f"fold {split.fold}", pd.concat([split.train, split.validation])
    refuse_known(split.held_out, known, where, remedy)
    refuse_known(split.validation, split.train, where, remedy, part="validation")


def refuse_known(
    images: pd.DataFrame, known: pd.DataFrame, where: str, remedy: str, part: str = "held-out"
) -> None:
    """Raise DataError where an image has the pixels of a known one.

    Both tables have the columns image and content. part: what the images are called.
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
