"""A comparer on the tiny base, as small as tests want it."""

from dataclasses import replace
from typing import Any

from lmol.config.schema import (
    AnswersConfig,
    Attention,
    Precision,
    ProjectorStart,
    PromptForm,
    Quantization,
)
from lmol.model.vlm.backbone import LlavaBackbone
from lmol.model.vlm.comparer import Comparer, build_comparer
from lmol.model.vlm.spec import LoraConfig, VisionLanguageModel

TARGETS = r".*language_model\..*\.(q|k|v|o)_proj"
QUESTION = "Which face looks more attractive?"
ANSWERS = AnswersConfig(first="First", second="Second", similar="Similar")


TINY = LlavaBackbone(
    weights="pkg://lmol.model.tiny_base",
    revision=None,
    dtype=Precision.FP32,
    quantization=Quantization.NONE,
    double_quantization=True,
    attention=Attention.SDPA,
)


def tiny_backbone(**changes: Any) -> LlavaBackbone:
    return replace(TINY, **changes)


def model_config(
    *,
    targets: str = TARGETS,
    dropout: float = 0.0,
    r: int = 4,
    alpha: int = 8,
    projector: ProjectorStart = ProjectorStart.FRESH,
) -> VisionLanguageModel:
    return VisionLanguageModel(
        backbone={},
        projector=projector,
        lora=LoraConfig(r=r, alpha=alpha, dropout=dropout, targets=targets),
        prompt=PromptForm.CHAT,
        compile=False,
        cache_features=True,
    )


def build_tiny(backbone: LlavaBackbone | None = None, **changes: Any) -> Comparer:
    return build_comparer(
        backbone or tiny_backbone(), model_config(**changes), QUESTION, ANSWERS
    ).eval()
