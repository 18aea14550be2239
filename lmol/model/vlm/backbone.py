"""The frozen base: a stock LLaVA and its processor, from the hub, a folder or this package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoProcessor,
    BitsAndBytesConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from lmol.config.schema import Attention, Precision, Quantization
from lmol.errors import ModelError
from lmol.model.device import this_device
from lmol.model.fingerprint import digest, samples
from lmol.model.names import LANGUAGE_MODEL, PROJECTOR

DTYPES = {
    Precision.FP32: torch.float32,
    Precision.BF16: torch.bfloat16,
    Precision.FP16: torch.float16,
}

UNQUANTIZED = ["model.multi_modal_projector", "model.vision_tower", "lm_head"]
"""Modules left unquantised. A bare "multi_modal_projector" would not match its run-time name."""

PACKAGED, OURS = "pkg://", "lmol."

UNREADABLE = (OSError, ValueError, SafetensorError, ModuleNotFoundError)
"""Errors of stock loading for an unusable name, configuration or file."""


@dataclass(frozen=True, kw_only=True)
class Base:
    """A loaded base and the processor that turns images and text into its inputs."""

    model: LlavaForConditionalGeneration
    processor: LlavaProcessor

    @property
    def num_image_tokens(self) -> int:
        """Return the tokens per image, without the vision tower's class token."""
        return int((self.image_size // self._vision.patch_size) ** 2)

    @property
    def image_size(self) -> int:
        """Return the width and height in pixels of the vision tower's input."""
        return int(self._vision.image_size)

    @property
    def embedding_dtype(self) -> torch.dtype:
        """Return the number type of the language model's input embeddings."""
        return cast(Tensor, self.model.get_input_embeddings().weight).dtype

    @property
    def _vision(self) -> Any:
        return self.model.config.vision_config


@dataclass(frozen=True, kw_only=True)
class LlavaBackbone:
    """The location of a stock LLaVA, and the form in which it is loaded.

    weights: a hub id, a local folder, or pkg://lmol.package.folder for one that this package ships.
    """

    weights: str
    revision: str | None
    dtype: Precision
    quantization: Quantization
    double_quantization: bool
    attention: Attention

    def load(self) -> Base:
        """Read processor and weights, frozen, in evaluation mode, on this process's device.

        Raises ModelError if the weights are not available or are not a LLaVA.
        """
        try:
            config = AutoConfig.from_pretrained(self.location, **self._read)
            self._check(config)
            processor = AutoProcessor.from_pretrained(self.location, **self._read)
            loaded: Any = LlavaForConditionalGeneration.from_pretrained(
                self.location, output_loading_info=True, **self._options()
            )
        except UNREADABLE as error:
            raise self._missing(error) from error
        model, loading = loaded
        self._check_whole(loading)
        model.requires_grad_(False).eval()
        _keep_linear4bit_unpacked(model)
        return Base(model=model, processor=cast(LlavaProcessor, processor))

    @property
    def location(self) -> str:
        """Return `weights`, with pkg:// resolved to a folder; raise ValueError for other packages.

        To look into a package runs its code, and the name may come from somebody else's run.
        """
        if not self.weights.startswith(PACKAGED):
            return self.weights
        package, _, folder = self.weights.removeprefix(PACKAGED).rpartition(".")
        if not f"{package}.".startswith(OURS):
            raise ValueError(f"only {PACKAGED}{OURS}<package>.<folder> is read")
        return str(files(package) / folder)

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
        if kind is Quantization.INT8:
            return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=UNQUANTIZED)
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=self.double_quantization,
            bnb_4bit_compute_dtype=DTYPES[Precision(self.dtype)],
            llm_int8_skip_modules=UNQUANTIZED,
        )

    def _check(self, config: Any) -> None:
        if not isinstance(config, LlavaConfig) or not isinstance(config.vision_feature_layer, int):
            raise ModelError(
                "model.backbone.weights",
                got=f"{self.weights} of type {config.model_type}",
                expected="a LLaVA with one vision feature layer",
                remedy="choose model=tiny, model=llava_1_5_7b or model=llava_1_5_13b",
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


def _keep_linear4bit_unpacked(model: nn.Module) -> None:
    """Keep 4-bit weights unpacked on a CPU, so that gradients can pass through them.

    With AVX512-BF16, bitsandbytes 0.50 repacks a Linear4bit in place at the first forward without
    gradients; the next backward then gives no gradient to its input, with only a warning.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            cast(Any, module).support_avx512bf16_for_cpu = False


def base_fingerprint(base: nn.Module) -> dict[str, str]:
    """Return digests of samples of the frozen weights; the same with and without adapters.

    The projector is trained or replaced, so its frozen original affects no answer.

    unquantized: digest of the weights that are never quantised. whole: digest of all weights, only
    if none is quantised: quantised numbers depend on the device that made them. Both change with
    the precision (dtype).
    """
    linear = {  # the layers that quantisation replaces; the head is kept
        f"{name}.weight"
        for name, module in base.named_modules()
        if isinstance(module, nn.Linear) and LANGUAGE_MODEL in name
    }
    frozen = {
        name: samples(parameter)
        for name, parameter in base.named_parameters()
        if not parameter.requires_grad and PROJECTOR not in name
    }
    found = {"unquantized": [name for name in frozen if name not in linear]}
    if not quantized_layers(base):
        found["whole"] = list(frozen)
    return {
        kind: digest((name.replace(".base_layer", ""), frozen[name]) for name in names)
        for kind, names in found.items()
    }


def quantized_layers(model: nn.Module) -> list[str]:
    """Return the kinds of quantised layers that a model has."""
    layers = {type(module).__name__ for module in model.modules()}
    return sorted(layers & {"Linear4bit", "Linear8bitLt"})
