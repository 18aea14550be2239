"""Settings of a vision-language model; light, so that they are checked before torch is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from lmol.config import instantiate
from lmol.config.fields import Count, Pattern, node
from lmol.config.fields import Target as Target
from lmol.config.schema import AnswersConfig, Attention, ProjectorStart, PromptForm, Quantization
from lmol.errors import LmolError
from lmol.model.spec import stored_spec

if TYPE_CHECKING:
    from lmol.model.load import Load
    from lmol.model.vlm.comparer import Comparer

TURN = 20
"""Tokens of a prompt beside images and question, about."""


@node
class LoraConfig:
    """Low-rank adapters on the language model."""

    r: Annotated[Count, Field(description="rank")]
    alpha: Annotated[Count, Field(description="scale; the update is alpha / r times B A")]
    dropout: Annotated[float, Field(ge=0, lt=1, description="dropout before A")]
    targets: Annotated[Pattern, Field(description="regular expression over full module paths")]


@node
class VisionLanguageModel:
    """A frozen base, its trained parts, and its prompt."""

    backbone: Annotated[Target, Field(description="loads the frozen base and its processor")]
    projector: Annotated[ProjectorStart, Field(description="fresh weights, or the base's own")]
    lora: Annotated[LoraConfig, Field(description="adapters on the language model")]
    prompt: Annotated[PromptForm, Field(description="the processor's chat template, or plain")]
    compile: Annotated[bool, Field(description="torch.compile the base")]
    cache_features: Annotated[
        bool, Field(description="run the frozen vision tower once an image, keep its output")
    ]

    def build(self, question: str, answers: AnswersConfig) -> Comparer:
        """Load the base and put projector and adapters on it."""
        from lmol.model.vlm.comparer import build_comparer

        return build_comparer(instantiate(self.backbone, "model.backbone"), self, question, answers)

    def estimate(self, question: str) -> Load | None:
        """Return the load of a training; None for a family whose parts are not known before."""
        from lmol.model.vlm.estimate import load_of
        from lmol.model.vlm.loading import DTYPES, Backbone

        backbone: Backbone = instantiate(self.backbone, "model.backbone")
        if not backbone.family.known_before:
            return None
        config = backbone.config()
        tokens = 2 * backbone.family.tokens_of(config, getattr(backbone, "image_size", None))
        form = (DTYPES[backbone.dtype], Quantization(backbone.quantization).value)
        words = TURN + 2 * len(question.split())
        return load_of(config, backbone.family, self.lora, tokens + words, form)

    def problems(self) -> Iterator[LmolError]:
        """Yield an error for each backbone setting that this machine does not support."""
        flash = self.backbone.get("attention") == Attention.FLASH_ATTENTION_2.value
        if flash and not _flash_attention():
            yield LmolError(
                "model.backbone.attention",
                got="flash_attention_2, which is not available here",
                expected="a CUDA device and the package flash-attn",
                remedy="install flash-attn, or set model.backbone.attention=sdpa",
            )
        quantized = self.backbone.get("quantization") not in (None, Quantization.NONE.value)
        if quantized and find_spec("bitsandbytes") is None:
            yield LmolError(
                "model.backbone.quantization",
                got=f"{self.backbone['quantization']} without the package bitsandbytes",
                expected="bitsandbytes, which quantises",
                remedy="pip install 'lmol[quantized]', or set model.backbone.quantization=none",
            )

    def relocated(self, frozen: str) -> VisionLanguageModel:
        """Return the same model with its base in another folder."""
        return replace(self, backbone={**self.backbone, "weights": frozen})

    def stored(self, question: str, answers: AnswersConfig) -> dict[str, Any]:
        """Return the arguments of build_model, as JSON values."""
        return stored_spec(self, "backbone", question, answers)


def _flash_attention() -> bool:
    from transformers.utils.import_utils import is_flash_attn_2_available

    return bool(is_flash_attn_2_available())
