"""Gemma 3 and PaliGemma: tokens of an image see each other in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from lmol.model.vlm.base import Base
from lmol.model.vlm.families.internvl import TensorBase
from lmol.model.vlm.loading import Backbone


class PaliGemma(TensorBase):
    """PaliGemma and PaliGemma 2: the whole prompt sees itself in both directions."""

    model_types: ClassVar[tuple[str, ...]] = ("paligemma",)
    title: ClassVar[str] = "a PaliGemma"
    nested_images: ClassVar[bool] = True
    shares_prefix: ClassVar[bool] = False

    def positions(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"token_type_ids": inputs["token_type_ids"]}


class Gemma3(PaliGemma):
    """Gemma 3, without pan and scan. After a cache, an image would see itself causally only."""

    model_types: ClassVar[tuple[str, ...]] = ("gemma3",)
    title: ClassVar[str] = "a Gemma 3 that takes images"

    @classmethod
    def tokens_of(cls, config: Any, image_size: int | None) -> int:
        return int(config.mm_tokens_per_image)

    @property
    def pixel_options(self) -> dict[str, Any]:
        return {"do_pan_and_scan": False}


@dataclass(frozen=True, kw_only=True)
class Gemma3Backbone(Backbone):
    """Gemma 3."""

    family: ClassVar[type[Base]] = Gemma3


@dataclass(frozen=True, kw_only=True)
class PaliGemmaBackbone(Backbone):
    """PaliGemma or PaliGemma 2."""

    family: ClassVar[type[Base]] = PaliGemma
