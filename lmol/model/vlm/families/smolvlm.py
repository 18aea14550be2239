"""SmolVLM, SmolVLM2 and Idefics3: images as one block, without splitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from lmol.model.vlm.base import Base
from lmol.model.vlm.loading import SizedBackbone


class Idefics3(Base):
    """Idefics3, SmolVLM and SmolVLM2."""

    model_types: ClassVar[tuple[str, ...]] = ("smolvlm", "idefics3")
    title: ClassVar[str] = "a SmolVLM, SmolVLM2 or Idefics3"
    tower_path: ClassVar[str] = "model.vision_model"
    projector_path: ClassVar[str] = "model.connector"
    language_path: ClassVar[str] = "model.text_model"
    nested_images: ClassVar[bool] = True

    @classmethod
    def tokens_of(cls, config: Any, image_size: int | None) -> int:
        vision = config.vision_config
        side = (image_size or vision.image_size) // (vision.patch_size * config.scale_factor)
        return int(side**2)

    def __init__(self, model: Any, processor: Any, image_size: int | None = None) -> None:
        super().__init__(model, processor, image_size)
        step = model.config.vision_config.patch_size * model.config.scale_factor
        self.require_multiple(step)
        processor.image_seq_len = (self.image_size // step) ** 2

    @property
    def pixel_options(self) -> dict[str, Any]:
        size = {"longest_edge": self.image_size}
        return {"do_image_splitting": False, "size": size, "max_image_size": size}

    def stock_images(self, pixels: Tensor) -> dict[str, Any]:
        return {"pixel_values": pixels}


@dataclass(frozen=True, kw_only=True)
class Idefics3Backbone(SizedBackbone):
    """SmolVLM, SmolVLM2 or Idefics3."""

    family: ClassVar[type[Base]] = Idefics3
