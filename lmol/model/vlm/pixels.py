"""Images as the frozen vision tower takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class ImagePixels:
    """Image part of a processor without the rest, for use in worker processes.

    size: width and height in pixels to which images are resized first; None: the processor resizes
    them itself. options: arguments of the processor. together: the processor takes an image of
    several in another way than a single one.
    """

    processor: Any
    size: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    together: bool = False

    def __call__(self, images: Sequence[Image.Image]) -> Tensor:
        """Return normalised pixels (N, ...) of RGB images; LLaVA's are (N, 3, height, width)."""
        num, shown = len(images), list(images)
        if self.size is not None:
            square = (self.size, self.size)
            shown = [one.resize(square, Image.Resampling.BICUBIC) for one in shown]
        given = [[*shown, shown[0]]] if self.together else shown
        pixels: Tensor = self.processor(given, return_tensors="pt", **self.options)["pixel_values"]
        if pixels.ndim == 2:  # Qwen: the patches of all images
            return pixels.unflatten(0, (num, -1))
        return pixels.reshape(-1, *pixels.shape[-3:])[:num]  # one block an image
