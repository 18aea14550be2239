"""The frozen vision tower: it turns images into the features that a projector takes.

N images, T tokens per image, V width of the vision tower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from lmol.model.vlm.backbone import Base


@dataclass(frozen=True)
class ImagePixels:
    """Image part of the processor without the rest, for use in worker processes."""

    processor: Any

    def __call__(self, images: Sequence[Image.Image]) -> Tensor:
        """Return normalised pixels (N, 3, height, width) of RGB images."""
        pixels: Tensor = self.processor(list(images), return_tensors="pt")["pixel_values"]
        return pixels


class VisionTower:
    """The ImageEncoder of a vision-language model."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self.preprocess = ImagePixels(base.processor.image_processor)

    def encode(self, pixels: Tensor) -> Tensor:
        """Return features (N, T, V) of pixels (N, 3, height, width), without gradients.

        Selects the layer and drops the class token as LlavaModel.get_image_features does; that
        function returns only the projector's output.
        """
        config, tower = self._base.model.config, self._base.model.model.vision_tower
        with torch.no_grad():
            states = tower(
                pixels.to(tower.device, tower.dtype), output_hidden_states=True
            ).hidden_states
        selected: Tensor = states[config.vision_feature_layer]
        drop = 1 if config.vision_feature_select_strategy == "default" else 0
        return selected[:, drop:]
