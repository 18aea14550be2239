"""The pairs that a model is judged by: all of a set of images, or a sample that connects them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmol.data.pairs import Indices, pairs_table
from lmol.errors import DataError


def all_pairs(images: pd.DataFrame, theta: float) -> pd.DataFrame:
    """Every unordered pair of a score table once, the earlier image first."""
    first, second = np.triu_indices(len(images), 1)
    return pairs_table(images, first, second, theta)


def sampled_pairs(
    images: pd.DataFrame, theta: float, num: int, seed: int, setting: str = "eval.pairs"
) -> pd.DataFrame:
    """A seeded sample of `num` of all pairs, every pair as likely as any other.

    A chain through all images in random order is among them, so that they can be ranked. Raises
    DataError, about the setting, where there are fewer pairs, or `num` is too few for a chain.
    """
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
    chosen = _connected_sample(len(images), num, np.random.default_rng(seed))
    return pairs_table(images, first[chosen], second[chosen], theta)


def _connected_sample(num_images: int, num: int, rng: np.random.Generator) -> Indices:
    """Positions (num,), ascending, in the list of all pairs i < j in the order of triu_indices."""
    order = rng.permutation(num_images)
    low, high = np.sort([order[:-1], order[1:]], axis=0)
    chain = low * num_images - low * (low + 1) // 2 + high - low - 1
    others = np.setdiff1d(np.arange(num_images * (num_images - 1) // 2), chain)
    further = rng.choice(others, num - len(chain), replace=False)
    return np.sort(np.concatenate([chain, further]))
