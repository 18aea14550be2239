"""Images of known score in a checkpoint, with which other images are placed on the score scale.

m references, T tokens per image, V width of the vision tower.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lmol.model.checkpoint import unreadable
from lmol.system.files import UNREADABLE, replacing

FILE = "references.safetensors"


@dataclass(frozen=True, kw_only=True, eq=False)
class References:
    """Validation images of the training fold: available to the run, but not trained on.

    names: of m images. scores: shape (m,), ascending. features: of the frozen vision tower, shape
    (m, T, V): 1.18 MB per image with LLaVA-1.5 in bf16. The pictures themselves are not kept.
    """

    names: Sequence[str]
    scores: NDArray[np.float64]
    features: Tensor

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: NDArray[np.integer]) -> References:
        """Return the references in these rows."""
        names = [self.names[row] for row in rows]
        return References(names=names, scores=self.scores[rows], features=self.features[rows])

    def save(self, folder: Path) -> None:
        """Write references.safetensors."""
        tensors = {"features": self.features.contiguous(), "scores": torch.tensor(self.scores)}
        with replacing(folder / FILE) as path:
            save_file(tensors, path, metadata={"names": json.dumps(list(self.names))})

    @classmethod
    def load(cls, folder: Path) -> References | None:
        """Return the references that `save` wrote, or None; raise CheckpointError if damaged."""
        if not (folder / FILE).is_file():
            return None
        try:
            with safe_open(folder / FILE, framework="pt") as file:
                found = cls(
                    names=json.loads(file.metadata()["names"]),
                    scores=file.get_tensor("scores").numpy(),
                    features=file.get_tensor("features"),
                )
            found._require_whole()
        except (SafetensorError, *UNREADABLE) as error:
            raise unreadable(folder, f"{FILE}: {error}") from error
        return found

    def _require_whole(self) -> None:
        """Raise ValueError if the parts do not have m images each, or a number is not finite."""
        names, scores, features = self.names, self.scores, self.features
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("names that are no texts")
        if scores.shape != (len(names),) or features.ndim != 3 or len(features) != len(names):
            raise ValueError("numbers of names, scores and features that differ")
        real = features.is_floating_point() and scores.dtype == np.float64
        if not real or not np.isfinite(scores).all() or not torch.isfinite(features).all():
            raise ValueError("scores or features that are no finite numbers")
