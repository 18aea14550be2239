"""A random model of every family, as a comparer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_class

from lmol.config.schema import (
    AnswersConfig,
    Attention,
    Precision,
    ProjectorStart,
    PromptForm,
    Quantization,
)
from lmol.experiments.bench.tiny_size import TINY, Size
from lmol.model.vlm.comparer import Comparer, build_comparer
from lmol.model.vlm.spec import LoraConfig, VisionLanguageModel

PLACE = "lmol.model.vlm.families."
QUESTION = "Which face looks more attractive?"
ANSWERS = AnswersConfig(first="First", second="Second", similar="Similar")


@dataclass(frozen=True, kw_only=True)
class Family:
    """A random model, by its name in tiny_families, and how it is loaded.

    option: of the group model, for a real one. side: of an image, in pixels, for each 14 pixels of
    Size.side; 0: the model has its own. more: settings of the backbone.
    """

    tiny: str
    backbone: str
    option: str
    side: int = 0
    more: Mapping[str, Any] = field(default_factory=dict)
    attention: Attention = Attention.SDPA


ANY = {
    "tower": "model.vision_tower",
    "projector": "model.multi_modal_projector",
    "language_model": "model.language_model",
    "nested_images": False,
    "image_options": {"crop_to_patches": False},
}
FAMILIES = {
    "llava_onevision": Family(
        tiny="llava_onevision",
        backbone="llava.LlavaOnevisionBackbone",
        option="llava_onevision_0_5b",
    ),
    "qwen2_5_vl": Family(
        tiny="qwen2_5_vl", backbone="qwen.Qwen25VLBackbone", option="qwen2_5_vl_3b", side=28
    ),
    "qwen3_vl": Family(
        tiny="qwen3_vl", backbone="qwen.Qwen3VLBackbone", option="qwen3_vl_2b", side=32
    ),
    "internvl": Family(
        tiny="internvl", backbone="internvl.InternVLBackbone", option="internvl3_5_1b"
    ),
    "smolvlm": Family(
        tiny="smolvlm", backbone="smolvlm.Idefics3Backbone", option="smolvlm2_256m", side=16
    ),
    "idefics3": Family(
        tiny="idefics3", backbone="smolvlm.Idefics3Backbone", option="smolvlm2_256m", side=16
    ),
    "gemma3": Family(tiny="gemma3", backbone="gemma.Gemma3Backbone", option="gemma_3_4b"),
    "paligemma": Family(
        tiny="paligemma",
        backbone="gemma.PaliGemmaBackbone",
        option="paligemma_2_3b",
        attention=Attention.EAGER,
    ),
    "any_vlm": Family(
        tiny="internvl", backbone="any_vlm.AnyVlmBackbone", option="any_vlm", side=14, more=ANY
    ),
}


def build(
    family: Family,
    folder: Path,
    start: ProjectorStart = ProjectorStart.FRESH,
    size: Size = TINY,
    form: tuple[Precision, Quantization] = (Precision.FP32, Quantization.NONE),
) -> Comparer:
    """Return a comparer on a random model, its trained tensors random too.

    form: number type of the weights, and their quantization.
    """
    sized = {"image_size": family.side * (size.side // 14)} if family.side else {}
    settings = {
        "weights": str(folder),
        "revision": None,
        "dtype": form[0],
        "quantization": form[1],
        "double_quantization": True,
        "attention": family.attention,
        **sized,
        **family.more,
    }
    config = VisionLanguageModel(
        backbone={},
        projector=start,
        lora=LoraConfig(
            r=4, alpha=8, dropout=0.0, targets=r".*(language|text)_model\..*\.(q|k|v|o)_proj"
        ),
        prompt=PromptForm.CHAT,
        compile=False,
        cache_features=True,
    )
    torch.manual_seed(1)
    backbone = get_class(f"{PLACE}{family.backbone}")(**settings)
    comparer = build_comparer(backbone, config, QUESTION, ANSWERS)
    with torch.no_grad():  # as if it had been trained: an adapter begins with zeros
        for parameter in comparer.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return comparer.eval()
