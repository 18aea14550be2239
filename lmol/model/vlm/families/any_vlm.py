"""Any other vision-language model of transformers, by the plain way: each prompt from its pixels.

Slower than a family of its own: nothing is cached, and no prefix is shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from lmol.errors import ModelError
from lmol.model.vlm.base import Base
from lmol.model.vlm.loading import Backbone

OWN = ("input_ids", "attention_mask", "pixel_values")
"""Outputs of a processor that the comparer passes by itself."""

TOLERANCE = 1e-3
"""Largest difference of an image's pixels, by itself and in a pair, that rounding explains."""


class AnyVlm(Base):
    """A model whose parts are named by the settings. Its features are its pixels, (N, 1, V)."""

    title: ClassVar[str] = "a model that AutoModelForImageTextToText loads"
    shares_prefix: ClassVar[bool] = False
    known_before: ClassVar[bool] = False

    def __init__(self, model: Any, processor: Any, settings: AnyVlmBackbone) -> None:
        self.tower_path = settings.tower  # type: ignore[misc]
        self.projector_path = settings.projector  # type: ignore[misc]
        self.language_path = settings.language_model  # type: ignore[misc]
        self.nested_images = settings.nested_images  # type: ignore[misc]
        self._options = dict(settings.image_options)
        super().__init__(model, processor, settings.image_size)
        for path in (self.tower_path, self.projector_path, self.language_path):
            self._require(path)
        self.projector.register_forward_pre_hook(_as_its_weights)
        self._pair = self._pair_of_blanks()

    @classmethod
    def fits(cls, config: Any) -> bool:
        return True

    @property
    def pixel_options(self) -> dict[str, Any]:
        return self._options

    @property
    def num_image_tokens(self) -> int:
        return int((self._pair["input_ids"] == self.image_token).sum()) // 2

    def encode(self, pixels: Tensor) -> Tensor:
        return pixels.flatten(1).unsqueeze(1)

    def project(self, features: Tensor) -> Tensor:
        return features.to(self.model.device, self.embedding_dtype)

    def encoded(self, images: Tensor) -> dict[str, Any]:
        return self.stock_images(images.unflatten(0, (-1, 2)))

    def stock_images(self, pixels: Tensor) -> dict[str, Any]:
        first, *rest = self._pair["pixel_values"].shape
        others = {
            name: value.to(pixels.device).repeat(len(pixels), *[1] * (value.ndim - 1))
            for name, value in self._pair.items()
            if name not in OWN and not name.endswith("token_type_ids")
        }
        return {"pixel_values": pixels.reshape(len(pixels) * first, *rest), **others}

    def positions(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: inputs[name] for name in inputs if name.endswith("token_type_ids")}

    def _pair_of_blanks(self) -> dict[str, Tensor]:
        """Return the processor's output for two images.

        Raises ModelError if it takes a single image in another way.
        """
        shown: Any = [self.blank, self.blank]
        options = {"images_kwargs": self._options} if self._options else {}
        found = self.processor(
            text=2 * self.processor.image_token,
            images=[shown] if self.nested_images else shown,
            return_tensors="pt",
            **options,
        )
        single, pair = self.pixels(shown).flatten(), found["pixel_values"].flatten()
        if single.shape != pair.shape or (single - pair).abs().max() > TOLERANCE:
            raise ModelError(
                "model.backbone",
                got="a processor that cuts images, or takes two in another way than one",
                expected="one piece an image, equally many tokens for every image",
                remedy="set model.backbone.image_size to the size of a piece, and "
                "model.backbone.image_options as its processor needs",
            )
        return dict(found)

    def _require(self, path: str) -> None:
        try:
            self.part(path)
        except AttributeError as error:
            known = [name for name, _ in self.model.named_modules() if name.count(".") in (1, 2)]
            raise ModelError(
                "model.backbone",
                got=f"{path!r}, which is no part of the model",
                expected=f"paths such as {', '.join(known[:12])}",
                remedy="set model.backbone.tower, .projector and .language_model",
            ) from error


@dataclass(frozen=True, kw_only=True)
class AnyVlmBackbone(Backbone):
    """Any vision-language model of transformers. tower, projector, language_model: module paths.

    nested_images: its processor takes a list of images for each text. image_options: arguments of
    its image processor.
    """

    family: ClassVar[type[Base]] = AnyVlm
    tower: str
    projector: str
    language_model: str
    nested_images: bool
    image_size: int
    image_options: dict[str, Any]

    def base(self, model: Any, processor: Any) -> Base:
        return AnyVlm(model, processor, self)

    @property
    def unquantized(self) -> list[str]:
        return [self.projector, self.tower]


def _as_its_weights(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Convert the input of a projector to the number type of its weights."""
    weight = next(module.parameters())
    return (given[0].to(weight.dtype), *given[1:])
