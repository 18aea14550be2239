"""What is in the image files, whatever they are called: one picture must not be on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from lmol.data.folds import Split
from lmol.errors import DataError

NAMED = 3
"""Pairs of images that a message names."""


def content_hashes(paths: Sequence[str | Path], threads: int = 4) -> list[str]:
    """SHA-256 (hexadecimal) of each file's bytes."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(_content_hash, paths))


def _content_hash(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def refuse_leaks(split: Split) -> None:
    """Raise DataError where a held-out image is, under another name, in the training fold.

    The tables of the split have the column content.
    """
    known = pd.concat([split.train, split.validation])
    remedy = (
        "take one of each two out of the score table; fold.allow_duplicates=true keeps them, and "
        "the numbers are then no longer of unseen images"
    )
    refuse_known(split.held_out, known, f"fold {split.fold}", remedy)


def refuse_known(held_out: pd.DataFrame, known: pd.DataFrame, where: str, remedy: str) -> None:
    """Raise DataError where an image is, by its content, among known ones.

    Both tables have the columns image and content.
    """
    name_of = dict(zip(known["content"], known["image"], strict=True))
    rows = zip(held_out["image"], held_out["content"], strict=True)
    leaks = [f"{image} is {name_of[content]}" for image, content in rows if content in name_of]
    if leaks:
        raise DataError(
            where,
            got=f"{len(leaks)} held-out image(s) that were trained on: {', '.join(leaks[:NAMED])}",
            expected="held-out images that the training fold does not hold under any name",
            remedy=remedy,
        )
