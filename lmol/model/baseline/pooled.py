"""A frozen encoder that sees a single image, and one vector as the features of it.

N images, T tokens per image, H width of the encoder, V width of the features: H, or 2 H with a
class token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from lmol.errors import ModelError


@dataclass(frozen=True)
class Pixels:
    """Image processor without the rest of an encoder, for use in worker processes."""

    processor: Any

    def __call__(self, images: Sequence[Image.Image]) -> Tensor:
        """Return normalised pixels (N, 3, height, width) of RGB images."""
        pixels: Tensor = self.processor(list(images), return_tensors="pt")["pixel_values"]
        return pixels


class PooledEncoder:
    """The ImageEncoder of the baselines: the mean over patch tokens, then the class token, if any.

    network: a vision transformer, frozen. layer: index of its hidden states; None for its output.
    width: V.
    """

    def __init__(self, network: nn.Module, processor: Any, layer: int | None) -> None:
        self.network, self._layer = network, layer
        self.preprocess = Pixels(processor)
        grey = self.preprocess([Image.new("RGB", (64, 64), "grey")])
        self.width = int(self.encode(grey).shape[-1])

    @property
    def device(self) -> torch.device:
        """Return the device on which the network computes."""
        return next(self.network.parameters()).device

    def encode(self, pixels: Tensor) -> Tensor:
        """Return features (N, 1, V) in fp32 of pixels (N, 3, height, width), without gradients.

        Raises ModelError if the network gives no row of tokens for the patches of a grid.
        """
        if pixels.dim() != 4:
            raise _unfit(f"pixels of shape {tuple(pixels.shape[1:])} for an image")
        weight = next(self.network.parameters())
        self.network.eval()  # a training sets the mode of the whole model
        with torch.no_grad():
            output = self.network(
                pixels.to(weight.device, weight.dtype), output_hidden_states=self._layer is not None
            )
        return self._pooled(self._tokens(output), num_patches=self._num_patches(pixels))

    def _tokens(self, output: Any) -> Tensor:
        """Return the chosen tokens (N, T, H)."""
        tokens: Tensor = (
            output.last_hidden_state if self._layer is None else output.hidden_states[self._layer]
        )
        return tokens.float()

    def _num_patches(self, pixels: Tensor) -> int:
        patch = int(self.network.config.patch_size)  # type: ignore[union-attr, arg-type]
        return (pixels.shape[-2] // patch) * (pixels.shape[-1] // patch)

    def _pooled(self, tokens: Tensor, num_patches: int) -> Tensor:
        """Pool tokens (N, T, H); those before the patches are the class token, then registers."""
        if tokens.dim() != 3 or tokens.shape[1] < num_patches:
            raise _unfit(f"an output of shape {tuple(tokens.shape[1:])} for an image")
        num_before = tokens.shape[1] - num_patches
        parts = [tokens[:, num_before:].mean(1), *([tokens[:, 0]] if num_before else [])]
        return torch.cat(parts, dim=-1).unsqueeze(1)


def _unfit(got: str) -> ModelError:
    return ModelError(
        "model.encoder.weights",
        got=got,
        expected="a vision transformer with a token for each patch of a square grid",
        remedy="choose one such as CLIP, SigLIP, DINOv2 or DINOv3 (ViT)",
    )
