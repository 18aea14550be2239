"""The frozen vision tower: it turns images into the features that a projector takes."""

from __future__ import annotations

from torch import Tensor

from lmol.model.vlm.base import Base


class VisionTower:
    """The ImageEncoder of a vision-language model."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self.preprocess = base.pixels

    def encode(self, pixels: Tensor) -> Tensor:
        """Return features (N, T, V) of pixels (N, ...), without gradients."""
        return self._base.encode(pixels)
