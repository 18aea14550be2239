"""Questions to the model, in an order that lets them share computation.

A question is an ordered pair of images. N images, P pairs, Q questions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Indices = NDArray[np.integer]


def rows_of(pairs: pd.DataFrame) -> tuple[list[str], Indices, Indices]:
    """Return the sorted names of P pairs' images, and the rows (P,) of the first and the second."""
    names = sorted({*pairs["img1"], *pairs["img2"]})
    row = pd.Index(names)
    return names, row.get_indexer(pairs["img1"]), row.get_indexer(pairs["img2"])


@dataclass(frozen=True, kw_only=True, eq=False)
class Questions:
    """Every ordered pair that occurs, once, sorted by first image and then by second.

    first, second: shape (Q,), rows of the images. of_pair: shape (P, 2), the question of each order
    of each pair.
    """

    first: Indices
    second: Indices
    of_pair: Indices

    @classmethod
    def of_pairs(cls, first: Indices, second: Indices, num_images: int) -> Questions:
        """Return both orders of P pairs of images; a repeated pair is asked once."""
        codes = np.stack([first * num_images + second, second * num_images + first], axis=1)
        asked, of_pair = np.unique(codes, return_inverse=True)
        return cls(
            first=asked // num_images,
            second=asked % num_images,
            of_pair=of_pair.reshape(codes.shape),
        )

    def __len__(self) -> int:
        return len(self.first)

    def blocks(self, batch: int, within: slice | None = None) -> list[slice]:
        """Return consecutive blocks that keep all questions of one first image together.

        Each has at least `batch` questions, so that batches are well filled, or a quarter as many
        first images, whose keys and values stand beside each other; the last block may be smaller.
        within: a block to divide, None for all questions.
        """
        start, stop = (within.start, within.stop) if within else (0, len(self))
        ends = np.flatnonzero(np.diff(self.first[start:stop], append=-1)) + start + 1
        blocks, groups = [], 0
        for end in ends.tolist():
            groups += 1
            if end - start >= batch or 4 * groups >= batch or end == stop:
                blocks.append(slice(start, end))
                start, groups = end, 0
        return blocks


def even_batches(block: slice, batch: int) -> Iterator[slice]:
    """Split a block into the fewest equal parts of at most `batch` questions each."""
    size = block.stop - block.start
    edges = np.linspace(block.start, block.stop, -(-size // batch) + 1).round().astype(int)
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        yield slice(start, end)
