"""LLaVA-1.5 and LLaVA-OneVision: a tower, a projector and a language model in a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lmol.model.vlm.base import Base
from lmol.model.vlm.loading import Backbone
from lmol.model.vlm.projector import LMOLProjector


class Llava(Base):
    """LLaVA-1.5."""

    model_types: ClassVar[tuple[str, ...]] = ("llava",)
    title: ClassVar[str] = "a LLaVA with one vision feature layer"

    @classmethod
    def fits(cls, config: Any) -> bool:
        return super().fits(config) and isinstance(config.vision_feature_layer, int)

    def fresh_projector(self) -> nn.Module:
        """Return one with GELU by tanh, as the project has trained it from its beginning."""
        own: Any = self.projector
        fresh = LMOLProjector(own.linear_1.in_features, own.linear_2.out_features)
        return fresh.to(own.linear_1.weight.device)

    def encode(self, pixels: Tensor) -> Tensor:
        """Return features (N, T, V) of pixels (N, 3, height, width), without gradients.

        Selects the layer and drops the class token as get_image_features does.
        """
        config, tower = self.model.config, self.tower
        weight = next(tower.parameters())
        with torch.no_grad():
            states = tower(
                pixels.to(weight.device, weight.dtype), output_hidden_states=True
            ).hidden_states
        selected: Tensor = states[config.vision_feature_layer]
        drop = 1 if config.vision_feature_select_strategy == "default" else 0
        return selected[:, drop:]


class LlavaOnevision(Llava):
    """LLaVA-OneVision, with several images in a prompt: each is one block and a line break."""

    model_types: ClassVar[tuple[str, ...]] = ("llava_onevision",)
    title: ClassVar[str] = "a LLaVA-OneVision with one vision feature layer"
    nested_images: ClassVar[bool] = True
    together: ClassVar[bool] = True  # a single image would be cut into tiles

    @classmethod
    def tokens_of(cls, config: Any, image_size: int | None) -> int:
        return super().tokens_of(config, image_size) + 1

    def fresh_projector(self) -> nn.Module:
        return Base.fresh_projector(self)

    def project(self, features: Tensor) -> Tensor:
        """Return embeddings (..., T + 1, H) of features (..., T, V)."""
        tokens = super().project(features)
        newline = self.model.model.image_newline.to(tokens.device, tokens.dtype)
        return torch.cat([tokens, newline.expand(*tokens.shape[:-2], 1, -1)], dim=-2)

    def stock_images(self, pixels: Tensor) -> dict[str, Any]:
        size = (self.image_size, self.image_size)
        return {
            "pixel_values": pixels.flatten(0, 1),
            "image_sizes": torch.tensor([size] * pixels.shape[:2].numel()),
            "batch_num_images": torch.tensor([pixels.shape[1]] * len(pixels)),
        }


@dataclass(frozen=True, kw_only=True)
class LlavaOnevisionBackbone(Backbone):
    """LLaVA-OneVision."""

    family: ClassVar[type[Base]] = LlavaOnevision
