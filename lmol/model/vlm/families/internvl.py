"""InternVL 3 and 3.5: one tile an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lmol.model.vlm.base import Base
from lmol.model.vlm.loading import Backbone


class TensorBase(Base):
    """A model that takes projected images as a tensor (N, S, H) instead of a list."""

    def encoded(self, images: Tensor) -> dict[str, Any]:
        output: Any = BaseModelOutputWithPooling(pooler_output=images)
        return {"mm_encoder_outputs": {"image": output}}


class InternVL(TensorBase):
    """InternVL 3 and 3.5 in the form of transformers (names on the hub that end in -hf)."""

    model_types: ClassVar[tuple[str, ...]] = ("internvl",)
    title: ClassVar[str] = "an InternVL in the form of transformers (-hf)"

    @classmethod
    def tokens_of(cls, config: Any, image_size: int | None) -> int:
        return int(config.image_seq_length)

    @property
    def own_image_size(self) -> int:
        return int(self.model.config.vision_config.image_size[0])

    @property
    def pixel_options(self) -> dict[str, Any]:
        return {"crop_to_patches": False}


@dataclass(frozen=True, kw_only=True)
class InternVLBackbone(Backbone):
    """InternVL 3 or 3.5."""

    family: ClassVar[type[Base]] = InternVL
