"""A loaded, frozen vision-language model, and the steps in which families of such models differ.

A family is a subclass: paths of the model's parts, and a few methods. The methods here are those of
LLaVA-1.5. One size for all images makes a prompt equal for every pair.

N images, B prompts, K images of a prompt, T tokens of the tower for an image, V their width, S
tokens of an image in a prompt, H the width that the language model takes, L tokens of a prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar, cast

import torch
from PIL import Image
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lmol.errors import ModelError
from lmol.model.vlm.pixels import ImagePixels
from lmol.model.vlm.projector import fresh_like


class Base:
    """A stock model, its processor, and where its parts are.

    model_types: of the configurations that fit; title: what they are, for messages. Paths are those
    of modules. nested_images: the processor takes a list of images for each text. together: as in
    ImagePixels. shares_prefix: whether a prompt's beginning, with its first image, can be read once
    for many second images. known_before: its paths and tokens are known before it is loaded.
    """

    model_types: ClassVar[tuple[str, ...]]
    title: ClassVar[str]
    tower_path: ClassVar[str] = "model.vision_tower"
    projector_path: ClassVar[str] = "model.multi_modal_projector"
    language_path: ClassVar[str] = "model.language_model"
    nested_images: ClassVar[bool] = False
    together: ClassVar[bool] = False
    shares_prefix: ClassVar[bool] = True
    known_before: ClassVar[bool] = True

    def __init__(self, model: Any, processor: Any, image_size: int | None = None) -> None:
        """Take the parts. image_size: of a family that takes images of any size, in pixels."""
        self.model, self.processor = model, processor
        self.image_size = image_size or self.own_image_size
        self.pixels = ImagePixels(
            processor.image_processor, image_size, self.pixel_options, self.together
        )

    @classmethod
    def fits(cls, config: Any) -> bool:
        """Return whether a stock configuration is of this family."""
        return config.model_type in cls.model_types

    @classmethod
    def tokens_of(cls, config: Any, image_size: int | None) -> int:
        """Return S of a configuration, of which no model is loaded."""
        vision = config.vision_config
        return int(((image_size or vision.image_size) // vision.patch_size) ** 2)

    @property
    def own_image_size(self) -> int:
        """Return the width and height in pixels of the vision tower's input."""
        return int(self.model.config.vision_config.image_size)

    @property
    def pixel_options(self) -> dict[str, Any]:
        """Return the arguments with which the image processor makes one block of an image."""
        return {}

    @property
    def tower(self) -> nn.Module:
        return self.part(self.tower_path)

    @property
    def language_model(self) -> Any:
        return self.part(self.language_path)

    @property
    def projector(self) -> nn.Module:
        """Return the projector in use: PEFT keeps the original beside the copy that it trains."""
        found = self.part(self.projector_path)
        copies = getattr(found, "modules_to_save", None)
        return found if copies is None else cast(nn.Module, copies["default"])

    def fresh_projector(self) -> nn.Module:
        """Return an untrained projector in place of the base's own."""
        return fresh_like(self.projector)

    def part(self, path: str) -> nn.Module:
        """Return the module at a path of the model."""
        return cast(nn.Module, self.model.get_submodule(path))

    def require_multiple(self, of: int) -> None:
        """Raise ModelError if the image size is no multiple of a number of pixels."""
        if self.image_size % of:
            near = max(of, self.image_size // of * of)
            raise ModelError(
                "model.backbone.image_size",
                got=f"{self.image_size}",
                expected=f"a multiple of {of} pixels, of which this model makes tokens",
                remedy=f"set {near} or {near + of}",
            )

    @property
    def embedding_dtype(self) -> torch.dtype:
        """Return the number type of the language model's input embeddings."""
        return cast(Tensor, self.model.get_input_embeddings().weight).dtype

    @property
    def image_token(self) -> int:
        """Return the token id that images replace."""
        return int(self.model.config.image_token_id)

    @cached_property
    def num_image_tokens(self) -> int:
        """Return S."""
        pixels = self.pixels([self.blank])
        with torch.no_grad():
            return self.project(self.encode(pixels)).shape[-2]

    @property
    def blank(self) -> Image.Image:
        return Image.new("RGB", (self.image_size, self.image_size))

    def encode(self, pixels: Tensor) -> Tensor:
        """Return the projector's input (N, T, V) of pixels (N, ...), without gradients."""
        tower = next(self.tower.parameters())
        seen = pixels.to(tower.device, tower.dtype).unsqueeze(1)
        with torch.no_grad(), _input_of(self.projector) as found:
            self.model.model.get_image_features(**self.stock_images(seen))
        return found[0].reshape(len(pixels), -1, found[0].shape[-1])

    def project(self, features: Tensor) -> Tensor:
        """Return what the language model takes, (..., S, H), of features (..., T, V)."""
        weight = next(self.projector.parameters())
        flat = features.to(weight.device, weight.dtype).flatten(0, -3)
        projected: Tensor = self.part(self.projector_path)(flat)
        return projected.unflatten(0, features.shape[:-2]) if features.ndim > 3 else projected

    def encoded(self, images: Tensor) -> dict[str, Any]:
        """Return the arguments of a forward with projected images (N, S, H) in place of pixels."""
        flat: Any = [images.flatten(0, 1)]
        return {"mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=flat)}}

    def stock_images(self, pixels: Tensor) -> dict[str, Any]:
        """Return the arguments of a stock forward for pixels (B, K, ...)."""
        return {"pixel_values": pixels.flatten(0, 1)}

    def positions(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return more arguments of a forward, shape (..., L). inputs: the processor's, of a pair.

        A continuation takes their end: what the model would find out from the whole prompt.
        """
        return {}


@contextmanager
def _input_of(module: nn.Module) -> Iterator[list[Tensor]]:
    """Put the first input of a module into the list that is yielded, and end the block there."""
    found: list[Tensor] = []

    def stop(_: nn.Module, arguments: tuple[Any, ...]) -> None:
        found.append(arguments[0])
        raise _Seen

    hook = module.register_forward_pre_hook(stop)
    try:
        yield found
    except _Seen:
        pass
    finally:
        hook.remove()


class _Seen(Exception):
    """The end of a forward whose remainder is not needed."""
