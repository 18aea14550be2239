"""Frozen encoders by name: any stock vision transformer, or the vision tower of a LLaVA."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from safetensors import SafetensorError
from transformers import AutoConfig, AutoImageProcessor, AutoModel
from transformers.utils import logging

from lmol.config.schema import Precision
from lmol.errors import ModelError
from lmol.model.baseline.pooled import PooledEncoder
from lmol.model.device import this_device
from lmol.model.vlm.loading import DTYPES, located

TOWER = {r"^(model\.)?vision_tower\.(vision_model\.)?": ""}
"""Names of a tower's tensors in a vision-language model, and in a model of its own."""

UNREADABLE = (OSError, ValueError, KeyError, SafetensorError, ImportError)
"""Errors of stock loading for an unusable name, configuration or file."""


@dataclass(frozen=True, kw_only=True)
class FrozenEncoder:
    """The location of a stock vision encoder or vision-language model, and its number type.

    weights: a hub id, a local folder, or pkg://lmol.package.folder for one that this package ships.
    Of a vision-language model only the tower is read, up to the layer that the model itself uses.
    """

    weights: str
    revision: str | None
    dtype: Precision

    def load(self) -> PooledEncoder:
        """Read the image processor and the weights, frozen, on this process's device.

        Raises ModelError if they are not available, or are not those of a vision transformer.
        """
        try:
            location = located(self.weights)
            config = AutoConfig.from_pretrained(location, **self._read)
            vision = getattr(config, "vision_config", config)
            self._check(config, vision)
            processor = AutoImageProcessor.from_pretrained(location, **self._read)
            with _quiet():
                loaded: Any = AutoModel.from_pretrained(location, **self._options(vision))
        except UNREADABLE as error:
            raise self._missing(error) from error
        network, loading = loaded
        self._check_whole(loading)
        network.requires_grad_(False).eval()
        return PooledEncoder(network, processor, getattr(config, "vision_feature_layer", None))

    @property
    def _read(self) -> dict[str, Any]:
        return {"revision": self.revision, "trust_remote_code": False}

    def _options(self, vision: Any) -> dict[str, Any]:
        return {
            **self._read,
            "config": vision,
            "use_safetensors": True,
            "dtype": DTYPES[Precision(self.dtype)],
            "device_map": {"": this_device()},
            "key_mapping": TOWER,
            "output_loading_info": True,
        }

    def _check(self, config: Any, vision: Any) -> None:
        layer = getattr(config, "vision_feature_layer", None)
        if not isinstance(getattr(vision, "patch_size", None), int) or isinstance(layer, list):
            raise self._error(
                f"{self.weights} of type {config.model_type}",
                "a vision transformer, or a LLaVA with one vision feature layer",
                "choose one such as openai/clip-vit-base-patch32 or facebook/dinov2-base",
            )

    def _check_whole(self, loading: dict[str, Any]) -> None:
        """Raise ModelError if tensors are missing, because stock loading makes them random."""
        absent = sorted(str(key) for key in {*loading["missing_keys"], *loading["mismatched_keys"]})
        if absent:
            raise self._error(
                f"{self.weights}, which lacks {len(absent)} tensor(s), {absent[0]} first",
                "all weights of the encoder that its config.json describes",
                "download or copy it again, or choose another",
            )

    def _missing(self, error: Exception) -> ModelError:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if "torchvision" in str(error).lower():
            return self._without_torchvision()
        return self._error(
            f"{self.weights!r}, which could not be read ({reason})",
            "a hub id that is in the local cache or can be downloaded, or a folder",
            "check the name; without a network, download it elsewhere and give the folder",
        )

    def _without_torchvision(self) -> ModelError:
        return self._error(
            f"{self.weights}, whose image processor needs the package torchvision",
            "an image processor that works without it",
            "in a copy of its folder, set image_processor_type to ViTImageProcessor in "
            "preprocessor_config.json; or pip install torchvision, with which the images of every "
            "model are resized a little differently",
        )

    def _error(self, got: str, expected: str, remedy: str) -> ModelError:
        return ModelError("model.encoder.weights", got=got, expected=expected, remedy=remedy)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the report of tensors that are not read, such as those of a language model."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
