"""A source with people's votes and no scores: drawn faces, and three simulated voters a pair."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lmol.data.data_set import DataSet
from lmol.data.sources.synthetic import SyntheticFaces


@dataclass(frozen=True, kw_only=True)
class VotingSource:
    root: Path
    num_pairs: int

    def load(self) -> DataSet:
        faces = SyntheticFaces(root=self.root, num_images=60, image_size=64, seed=3).load().images
        rng = np.random.default_rng(0)
        first, second = np.triu_indices(len(faces), 1)
        rows = rng.choice(len(first), self.num_pairs, replace=False)
        first, second = first[rows], second[rows]
        gap = faces["score"].to_numpy()[first] - faces["score"].to_numpy()[second]
        seen = gap[:, None] + rng.normal(scale=0.2, size=(len(gap), 3))  # three voters
        names = faces["image"].to_numpy()
        votes = {
            "image_a": names[first],
            "image_b": names[second],
            "a": (seen > 0.2).sum(1),
            "tie": (abs(seen) <= 0.2).sum(1),
            "b": (seen < -0.2).sum(1),
        }
        return DataSet(images=faces[["image", "path"]], comparisons=pd.DataFrame(votes))
