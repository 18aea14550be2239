"""Preparation of a fold from a source: check images, split them, draw pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from lmol.data.contents import identities
from lmol.data.data_set import DataSet, Source
from lmol.data.evaluation_pairs import Sample
from lmol.data.file_places import real_files, refuse_outside, refuse_repeats
from lmol.data.folds import Split
from lmol.data.image_files import refuse_unwritable
from lmol.data.pairs import PairPolicy
from lmol.system.progress import progress


@dataclass(frozen=True, kw_only=True, eq=False)
class PairPlan:
    """The settings of a fold's pairs. theta: in points of score; num_held_out: None for all.

    seed: the run's; each fold adds its index.
    """

    policy: PairPolicy
    theta: float
    num_validation: int
    num_held_out: int | None
    seed: int


class PreparedFold:
    """The images of a fold and its pairs, each kind drawn when it is first needed.

    Each kind has a separate seed, so drawing one does not change the others.
    """

    def __init__(self, split: Split, data: DataSet, plan: PairPlan) -> None:
        self.split, self.data, self._plan = split, data, plan
        self._seed = plan.seed + split.fold

    @property
    def num_dropped(self) -> int:
        """Return the number of known pairs with images in different parts, which are not used."""
        parts = (self.split.train, self.split.validation, self.split.held_out)
        return self._plan.policy.num_dropped(self.data, parts)

    @cached_property
    def training_pairs(self) -> pd.DataFrame:
        """Return the pairs of the training images."""
        plan = self._plan
        return plan.policy.training(self.data, self.split.train, plan.theta, self._seed)

    @cached_property
    def validation_pairs(self) -> pd.DataFrame:
        """Return the pairs of the training fold's other images, to choose the best checkpoint."""
        num = len(self.split.validation)
        wanted = min(self._plan.num_validation, num * (num - 1) // 2)
        return self._evaluation(self.split.validation, wanted, "train.validation_pairs")

    @cached_property
    def held_out_pairs(self) -> pd.DataFrame:
        """Return the pairs that only the evaluation after the training judges."""
        return self._evaluation(self.split.held_out, self._plan.num_held_out, "eval.pairs")

    def _evaluation(self, images: pd.DataFrame, num: int | None, setting: str) -> pd.DataFrame:
        plan, sample = self._plan, Sample(num=num, seed=self._seed, setting=setting)
        return plan.policy.evaluation(self.data, images, plan.theta, sample)


def load_data(source: Source, root: Path | None = None) -> DataSet:
    """Return the data set of a source, with its images ordered by name; open every image once.

    This order, and not a file's, decides folds, pairs and metrics. The columns content and
    appearance are added. root: the folder that must hold all image files; None: they may be
    anywhere. Raises DataError.
    """
    data = source.load()
    images = data.images.sort_values("image", ignore_index=True)
    refuse_unwritable(images["image"])
    files = pd.Series(real_files(images["path"]), dtype=str)
    refuse_repeats(images, files)
    if root is not None:
        refuse_outside(images, files, root)
    with progress("Reading images", len(images), "images") as advance:
        known = images.join(identities(images["path"].tolist(), advance))
    return replace(data, images=known)
