"""The pairs of an evaluation: all pairs of a set of images, or a sample that connects them.

Only the names of two images decide, like a coin, which one comes first: neither the order of the
table, which may be sorted by score, nor the other pairs have an influence.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmol.data.pairs_table import Indices, pairs_table
from lmol.errors import DataError


def all_pairs(images: pd.DataFrame, theta: float) -> pd.DataFrame:
    """Return every unordered pair of a score table once."""
    first, second = np.triu_indices(len(images), 1)
    return _table(images, first, second, theta)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The number of pairs to judge (None: all), the seed, and the setting that gives the number."""

    num: int | None
    seed: int
    setting: str = "eval.pairs"


def sampled_pairs(images: pd.DataFrame, theta: float, sample: Sample) -> pd.DataFrame:
    """Return a random sample of all pairs, every pair as likely as any other.

    It contains a chain through all images in random order, so that they can be ranked. Raises
    DataError, about the setting, if there are fewer pairs, or the number is too small for a chain.
    """
    num, setting = sample.num, sample.setting
    assert num is not None, "all_pairs returns all"
    first, second = np.triu_indices(len(images), 1)
    if not len(images) - 1 <= num <= len(first):
        raise DataError(
            setting,
            got=f"{num}",
            expected=f"at least {len(images) - 1}, which connect {len(images)} images, and "
            f"at most the {len(first)} pairs that they make",
            remedy=f"change it, or take them all with {setting}="
            + ("all" if setting == "eval.pairs" else f"{len(first)}"),
        )
    chosen = _connected_sample(len(images), num, np.random.default_rng(sample.seed))
    return _table(images, first[chosen], second[chosen], theta)


def _connected_sample(num_images: int, num: int, rng: np.random.Generator) -> Indices:
    """Return positions (num,), ascending, in the list of pairs i < j in triu_indices' order."""
    order = rng.permutation(num_images)
    low, high = np.sort([order[:-1], order[1:]], axis=0)
    chain = low * num_images - low * (low + 1) // 2 + high - low - 1
    others = np.setdiff1d(np.arange(num_images * (num_images - 1) // 2), chain)
    further = rng.choice(others, num - len(chain), replace=False)
    return np.sort(np.concatenate([chain, further]))


def _table(images: pd.DataFrame, first: Indices, second: Indices, theta: float) -> pd.DataFrame:
    """Return the pairs table of rows i < j, in their order, with half of the pairs turned round."""
    turn = turned(images["image"], first, second)
    first, second = np.where(turn, [second, first], [first, second])
    return pairs_table(images, first, second, theta)


def turned(names: pd.Series, first: Indices, second: Indices) -> NDArray[np.bool_]:
    """Return which pairs to turn round, shape (P,), like a fair coin and independent of the rows.

    Each name is hashed to a key. The sum of a pair's keys, mixed like the state of SplitMix64
    (Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators), is the coin: it
    decides whether the image with the greater key comes first.
    """
    digests = b"".join(hashlib.sha256(name.encode()).digest()[:8] for name in names)
    keys = np.frombuffer(digests, dtype="<u8").astype(np.uint64)
    mixed = keys[first] + keys[second]  # modulo 2^64, like all that follows
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed >> np.uint64(63)) == 1) ^ (keys[first] > keys[second])
