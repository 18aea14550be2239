"""From a source to the pairs of a fold: images checked, split, paired."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lmol.config.schema import Config
from lmol.data.contents import identities
from lmol.data.evaluation_pairs import all_pairs, sampled_pairs
from lmol.data.folds import Source, Split
from lmol.data.image_files import refuse_unwritable
from lmol.data.pairs import Schedule, training_pairs
from lmol.errors import DataError
from lmol.system.progress import progress


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedFold:
    """The images of a fold and its pairs: of training, of validation, of the held-out images."""

    split: Split
    training_pairs: pd.DataFrame
    validation_pairs: pd.DataFrame
    held_out_pairs: pd.DataFrame


def load_scores(source: Source) -> pd.DataFrame:
    """The score table of a source in the order of its image names, every image opened once.

    That order, and none of a file, decides all that follows: folds, pairs, metrics. The columns
    content and appearance are added. Raises DataError.
    """
    scores = source.load().sort_values("image", ignore_index=True)
    _refuse_repeats(scores)
    refuse_unwritable(scores["image"])
    with progress("Reading images", len(scores), "images") as advance:
        return scores.join(identities(scores["path"].tolist(), advance))


def _refuse_repeats(scores: pd.DataFrame) -> None:
    """One file under two names would stand on both sides of a split."""
    files = scores["path"].map(lambda path: Path(path).resolve())
    repeated = scores[files.duplicated(keep=False)]
    if len(repeated):
        one = repeated[files[repeated.index] == files[repeated.index[0]]]
        raise DataError(
            "images",
            got=f"one file under the names {' and '.join(one['image'])}",
            expected="each image once: a fold must not train on what it holds out",
            remedy="remove all rows of a file but one",
        )


def pair_fold(split: Split, schedule: Schedule, config: Config) -> PreparedFold:
    """Draw the pairs of one fold from its seed, which is seed + fold."""
    seed, theta = config.seed + split.fold, config.data.theta
    return PreparedFold(
        split=split,
        training_pairs=training_pairs(split.train, schedule, theta, seed),
        validation_pairs=_validation_pairs(split.validation, theta, config, seed),
        held_out_pairs=_held_out_pairs(split.held_out, theta, config, seed),
    )


def _validation_pairs(
    images: pd.DataFrame, theta: float, config: Config, seed: int
) -> pd.DataFrame:
    possible = len(images) * (len(images) - 1) // 2
    num = min(config.train.validation_pairs, possible)
    return sampled_pairs(images, theta, num, seed, "train.validation_pairs")


def _held_out_pairs(images: pd.DataFrame, theta: float, config: Config, seed: int) -> pd.DataFrame:
    if config.eval.pairs == "all":
        return all_pairs(images, theta)
    return sampled_pairs(images, theta, int(config.eval.pairs), seed)
