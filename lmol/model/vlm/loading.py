"""The frozen base: a stock model and its processor, from the hub, a folder or this package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any, ClassVar, cast

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, BitsAndBytesConfig

from lmol.config.schema import Attention, Precision, Quantization
from lmol.errors import ModelError
from lmol.model.device import this_device
from lmol.model.vlm.base import Base
from lmol.model.vlm.processor import load_processor

DTYPES = {
    Precision.FP32: torch.float32,
    Precision.BF16: torch.bfloat16,
    Precision.FP16: torch.float16,
}

PACKAGED, OURS = "pkg://", "lmol."

UNREADABLE = (OSError, ValueError, SafetensorError, ModuleNotFoundError)
"""Errors of stock loading for an unusable name, configuration or file."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """The location of a stock model, and the form in which it is loaded.

    family: the class of the loaded base, which a subclass names. weights: a hub id, a local folder,
    or pkg://lmol.package.folder for one that this package ships.
    """

    family: ClassVar[type[Base]]

    weights: str
    revision: str | None
    dtype: Precision
    quantization: Quantization
    double_quantization: bool
    attention: Attention

    def load(self) -> Base:
        """Read processor and weights, frozen, in evaluation mode, on this process's device.

        Raises ModelError if the weights are not available or are of another family.
        """
        try:
            config = self._config()
            processor = load_processor(self.location, config, **self._read)
            loaded: Any = AutoModelForImageTextToText.from_pretrained(
                self.location, output_loading_info=True, **self._options()
            )
        except UNREADABLE as error:
            raise self._missing(error) from error
        model, loading = loaded
        self._check_whole(loading)
        model.requires_grad_(False).eval()
        _keep_linear4bit_unpacked(model)
        return self.base(model, processor)

    def config(self) -> Any:
        """Return only the stock configuration; raises the same errors as load."""
        try:
            return self._config()
        except UNREADABLE as error:
            raise self._missing(error) from error

    def _config(self) -> Any:
        config = AutoConfig.from_pretrained(self.location, **self._read)
        self._check(config)
        return config

    def base(self, model: Any, processor: Any) -> Base:
        """Return the parts as a base of the family."""
        return self.family(model, processor)

    @property
    def unquantized(self) -> list[str]:
        """Return the paths of the modules that stay as they are beside the head."""
        return [self.family.projector_path, self.family.tower_path]

    @property
    def location(self) -> str:
        """Return `weights`, with pkg:// resolved to a folder."""
        return located(self.weights)

    @property
    def _read(self) -> dict[str, Any]:
        return {"revision": self.revision, "trust_remote_code": False}

    def _options(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "use_safetensors": True,
            "dtype": DTYPES[Precision(self.dtype)],
            "attn_implementation": Attention(self.attention).value,
            "device_map": {"": this_device()},
            "quantization_config": self._quantization(),
        }

    def _quantization(self) -> BitsAndBytesConfig | None:
        kind = Quantization(self.quantization)
        if kind is Quantization.NONE:
            return None
        kept = [*self.unquantized, "lm_head"]
        if kind is Quantization.INT8:
            return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=self.double_quantization,
            bnb_4bit_compute_dtype=DTYPES[Precision(self.dtype)],
            llm_int8_skip_modules=kept,
        )

    def _check(self, config: Any) -> None:
        if not self.family.fits(config):
            raise ModelError(
                "model.backbone.weights",
                got=f"{self.weights} of type {config.model_type}",
                expected=self.family.title,
                remedy="choose a model of that family, or model=any_vlm",
            )

    def _check_whole(self, loading: dict[str, Any]) -> None:
        """Raise ModelError if tensors are missing, because stock loading makes them random."""
        absent = sorted(str(key) for key in {*loading["missing_keys"], *loading["mismatched_keys"]})
        if absent:
            raise ModelError(
                "model.backbone.weights",
                got=f"{self.weights}, which lacks {len(absent)} tensor(s), {absent[0]} first",
                expected="all weights of the model that its config.json describes",
                remedy="download or copy it again",
            )

    def _missing(self, error: Exception) -> ModelError:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return ModelError(
            "model.backbone.weights",
            got=f"{self.weights!r}, which could not be read ({reason})",
            expected="a hub id that is in the local cache or can be downloaded, or a folder",
            remedy="check the name; without a network, download it elsewhere and give the folder",
        )


@dataclass(frozen=True, kw_only=True)
class SizedBackbone(Backbone):
    """A backbone of a family that takes images of any size.

    image_size: width and height in pixels to which all images are resized; fewer pixels are fewer
    tokens.
    """

    image_size: int

    def base(self, model: Any, processor: Any) -> Base:
        return self.family(model, processor, self.image_size)


def located(weights: str) -> str:
    """Return the folder of pkg:// weights, and any other name as it is.

    Raises ValueError for another package: to look into a package runs its code, and the name may
    come from somebody else's run.
    """
    if not weights.startswith(PACKAGED):
        return weights
    package, _, folder = weights.removeprefix(PACKAGED).rpartition(".")
    if not f"{package}.".startswith(OURS):
        raise ValueError(f"only {PACKAGED}{OURS}<package>.<folder> is read")
    return str(files(package) / folder)


def _keep_linear4bit_unpacked(model: nn.Module) -> None:
    """Keep 4-bit weights unpacked on a CPU, so that gradients can pass through them.

    With AVX512-BF16, bitsandbytes 0.50 repacks a Linear4bit in place at the first forward without
    gradients; the next backward then gives no gradient to its input, with only a warning.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            cast(Any, module).support_avx512bf16_for_cpu = False
