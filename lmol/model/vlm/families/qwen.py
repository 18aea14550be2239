"""Qwen2.5-VL and Qwen3-VL: images of any size, positions in three dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures

from lmol.model.vlm.base import Base
from lmol.model.vlm.loading import SizedBackbone


class Qwen25VL(Base):
    """Qwen2.5-VL. The merger, its projector, puts merge x merge patches into one token."""

    model_types: ClassVar[tuple[str, ...]] = ("qwen2_5_vl",)
    title: ClassVar[str] = "a Qwen2.5-VL"
    tower_path: ClassVar[str] = "model.visual"
    projector_path: ClassVar[str] = "model.visual.merger"

    def __init__(self, model: Any, processor: Any, image_size: int | None = None) -> None:
        super().__init__(model, processor, image_size)
        vision = model.config.vision_config
        self.require_multiple(vision.patch_size * vision.spatial_merge_size)
        side = self.image_size // vision.patch_size
        self._grid = torch.tensor([1, side, side])
        self._merged = vision.spatial_merge_size**2
        self._order = self._order_of_windows()

    @classmethod
    def tokens_of(cls, config: Any, image_size: int | None) -> int:
        vision = config.vision_config
        assert image_size is not None, "its settings have one"
        return int((image_size // (vision.patch_size * vision.spatial_merge_size)) ** 2)

    @property
    def pixel_options(self) -> dict[str, Any]:
        return {"do_resize": False}

    def encode(self, pixels: Tensor) -> Tensor:
        """Return features (N, T, V), V of all patches of a token, in the order of the image."""
        features = super().encode(pixels)
        merged = features.reshape(len(pixels), -1, self._merged * features.shape[-1])
        return merged[:, self._order]

    def project(self, features: Tensor) -> Tensor:
        width = features.shape[-1] // self._merged
        patches = features.unflatten(-1, (self._merged, width)).flatten(-3, -2)
        return super().project(patches.flatten(0, -2)[None]).reshape(*features.shape[:-1], -1)

    def _order_of_windows(self) -> Tensor:
        """Return the place in the merger's output, shape (T,), of each token of an image.

        The tower of Qwen2.5-VL has its patches in windows; only its last step orders them.
        """
        generator = torch.Generator().manual_seed(0)
        noise = self.pixels([self.blank])
        noise = torch.randn(noise.shape, generator=generator)
        weight, merged = next(self.tower.parameters()), []
        hook = self.projector.register_forward_hook(lambda _, given, out: merged.append(out))
        with torch.no_grad():
            shown = self.stock_images(noise.to(weight.device, weight.dtype)[:, None])
            ordered = torch.cat(self.model.model.get_image_features(**shown).pooler_output)
        hook.remove()
        some = slice(0, 8)
        return (ordered[:, None, some] == merged[0][None, :, some]).all(-1).int().argmax(1)

    def stock_images(self, pixels: Tensor) -> dict[str, Any]:
        grid = self._grid.to(pixels.device).expand(pixels.shape[:2].numel(), -1)
        return {"pixel_values": pixels.flatten(0, 2), "image_grid_thw": grid}

    def positions(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return positions (3, 1, L): after a cache, the model would take those of words."""
        found, _ = self.model.model.get_rope_index(
            inputs["input_ids"].cpu(),
            image_grid_thw=self._grid.expand(2, -1),
            mm_token_type_ids=inputs["mm_token_type_ids"].cpu(),
        )
        return {"position_ids": found}


class Qwen3VL(Qwen25VL):
    """Qwen3-VL. Further mergers feed its first layers; they stay frozen, and are features."""

    model_types: ClassVar[tuple[str, ...]] = ("qwen3_vl",)
    title: ClassVar[str] = "a Qwen3-VL"

    def encode(self, pixels: Tensor) -> Tensor:
        """Return features (N, T, V + levels * H)."""
        levels: list[Tensor] = []
        hooks = [
            merger.register_forward_hook(lambda _, given, out: levels.append(out))
            for merger in self._deep_mergers
        ]
        features = super().encode(pixels)
        for hook in hooks:
            hook.remove()
        deep = [level.reshape(*features.shape[:2], -1) for level in levels]
        return torch.cat([features, *deep], dim=-1)

    def project(self, features: Tensor) -> Tensor:
        """Return embeddings and what the first layers add to them, (..., T, H + levels * H)."""
        width = int(self.model.config.text_config.hidden_size) * len(self._deep_mergers)
        merged = super().project(features[..., :-width])
        return torch.cat([merged, features[..., -width:].to(merged.device, merged.dtype)], dim=-1)

    def encoded(self, images: Tensor) -> dict[str, Any]:
        embeddings, *levels = images.flatten(0, 1).chunk(1 + len(self._deep_mergers), dim=-1)
        merged: Any = [embeddings]
        deep: Any = [[level] for level in levels]
        output = BaseModelOutputWithDeepstackFeatures(pooler_output=merged, deepstack_features=deep)
        return {"mm_encoder_outputs": {"image": output}}

    @property
    def _deep_mergers(self) -> Any:
        return self.model.model.visual.deepstack_merger_list


@dataclass(frozen=True, kw_only=True)
class Qwen25VLBackbone(SizedBackbone):
    """Qwen2.5-VL."""

    family: ClassVar[type[Base]] = Qwen25VL


@dataclass(frozen=True, kw_only=True)
class Qwen3VLBackbone(SizedBackbone):
    """Qwen3-VL."""

    family: ClassVar[type[Base]] = Qwen3VL
