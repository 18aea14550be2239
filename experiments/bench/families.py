"""Agreement of every family with its stock classes, and what a prefix read once saves.

    python -m lmol.experiments.bench.families [--only NAME] [--parts agreement,speed] [--json PATH]

agreement: tiny random models in fp32; a row has the largest differences of logits from those of the
stock forward from pixels, of logits with a prefix read once, and of gradients (as a share of the
largest of a tensor). speed: random models of about 100 M parameters; seconds of a training step of
4 pairs, and of judging 8 first images with 8 others each, with a prefix read once and by whole
prompts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import get_class
from PIL import Image
from torch import Tensor

from lmol.config.schema import (
    AnswersConfig,
    Attention,
    Precision,
    ProjectorStart,
    PromptForm,
    Quantization,
)
from lmol.experiments.bench.report import Row, add_options, report
from lmol.experiments.bench.tiny_families import write_tiny
from lmol.experiments.bench.tiny_size import TINY, Size
from lmol.model.vlm.comparer import Comparer, build_comparer
from lmol.model.vlm.scorer import WholeBlock
from lmol.model.vlm.spec import LoraConfig, VisionLanguageModel

PLACE = "lmol.model.vlm.families."
MEDIUM = Size(vision=(512, 8), text=(640, 12), head=64, side=224)
QUESTION = "Which face looks more attractive?"
ANSWERS = AnswersConfig(first="First", second="Second", similar="Similar")


@dataclass(frozen=True, kw_only=True)
class Family:
    """A random model, by its name in tiny_families, and how it is loaded.

    tokens: pixels of a token's side times this are the side of an image; 0: it has its own.
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
        tiny="qwen2_5_vl", backbone="qwen.Qwen25VLBackbone", option="qwen2_5_vl_3b", side=14
    ),
    "qwen3_vl": Family(
        tiny="qwen3_vl", backbone="qwen.Qwen3VLBackbone", option="qwen3_vl_2b", side=16
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
) -> Comparer:
    """Return a comparer on a random model, its trained tensors random too."""
    sized = {"image_size": family.side * (size.side // 14)} if family.side else {}
    settings = {
        "weights": str(folder),
        "revision": None,
        "dtype": Precision.FP32,
        "quantization": Quantization.NONE,
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


def noise_images(num: int) -> list[Image.Image]:
    """Return pictures of noise, 70 x 90 pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (num, 90, 70, 3), dtype=np.uint8)
    return [Image.fromarray(one) for one in noise]


def stock_logits(comparer: Comparer, pair: list[Image.Image]) -> Tensor:
    """Return the logits (3,) of the stock forward, with the stock processor, of one pair."""
    base = comparer.base
    if base.pixels.size is not None:
        square = (base.image_size, base.image_size)
        pair = [one.resize(square, Image.Resampling.BICUBIC) for one in pair]
    options = {"images_kwargs": base.pixel_options} if base.pixel_options else {}
    inputs = base.processor(
        text=comparer.prompt.text,
        images=[pair] if base.nested_images else pair,
        return_tensors="pt",
        **options,
    )
    logits: Tensor = comparer.adapted(**inputs).logits
    return logits[0, -1, list(comparer.prompt.answer_ids)]


def gradients_of(comparer: Comparer, logits: Callable[[], Tensor]) -> dict[str, Tensor]:
    """Return the gradients of the squared logits, by the names of the trained tensors."""
    comparer.zero_grad()
    logits().square().sum().backward()
    return {n: p.grad.clone() for n, p in comparer.named_parameters() if p.grad is not None}


def agreement(name: str, family: Family) -> Row:
    """Return the largest differences of a family from its stock classes."""
    with tempfile.TemporaryDirectory() as folder:
        write_tiny(family.tiny, Path(folder))
        comparer = build(family, Path(folder))
    images = noise_images(4)
    pixels = comparer.encoder.preprocess(images).unflatten(0, (-1, 2))
    with torch.no_grad():
        ours = comparer(pixel_values=pixels)[:, 0]
        stock = torch.stack([stock_logits(comparer, images[n : n + 2]) for n in (0, 2)])
        features = comparer.encoder.encode(pixels.flatten(0, 1))
        scorer = comparer.scorer([features], len(features), 1.0)
        shared = scorer.block(torch.tensor([0, 2])).logits(
            torch.tensor([0, 1]), torch.tensor([1, 3])
        )
    here = gradients_of(comparer, lambda: comparer(pixel_values=pixels[:1])[0, 0])
    there = gradients_of(comparer, lambda: stock_logits(comparer, images[:2]))
    share = [float((here[n] - there[n]).abs().max() / there[n].abs().max()) for n in there]
    return {
        "family": name,
        "tokens": comparer.base.num_image_tokens,
        "logits": float((ours - stock).abs().max()),
        "prefix": float((shared - ours).abs().max()) if comparer.base.shares_prefix else None,
        "gradients": max(share),
        "tensors": f"{len(here)} of {len(there)}",
    }


def speed(name: str, family: Family) -> Row:
    """Return seconds of training, and of judging in both ways."""
    with tempfile.TemporaryDirectory() as folder:
        write_tiny(family.tiny, Path(folder), MEDIUM)
        comparer = build(family, Path(folder), size=MEDIUM)
    pixels = comparer.encoder.preprocess(noise_images(16))
    with torch.no_grad():
        features = comparer.encoder.encode(pixels)
    pairs = features[:8].unflatten(0, (4, 2))
    scorer = comparer.scorer([features], len(features), 4.0)
    first, second = torch.arange(8), torch.arange(8, 16).repeat(8)
    which = torch.arange(8).repeat_interleave(8)
    comparer.train()
    step = seconds_of(lambda: comparer(features=pairs).square().sum().backward())
    comparer.eval()
    with torch.inference_mode():
        whole = seconds_of(lambda: WholeBlock(scorer, first).logits(which, second))
        shared = seconds_of(lambda: scorer.block(first).logits(which, second))
    return {
        "family": name,
        "millions": round(sum(p.numel() for p in comparer.parameters()) / 1e6),
        "prompt": len(comparer.prompt.input_ids),
        "step_s": step,
        "whole_s": whole,
        "shared_s": shared if comparer.base.shares_prefix else None,
        "times": whole / shared if comparer.base.shares_prefix else None,
    }


def seconds_of(work: Callable[[], object]) -> float:
    """Return the seconds of the second of two runs."""
    for _ in range(2):
        start = time.perf_counter()
        work()
    return time.perf_counter() - start


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="the families whose names contain this")
    parser.add_argument("--parts", default="agreement,speed")
    add_options(parser, "families")
    arguments = parser.parse_args()
    chosen = {name: one for name, one in FAMILIES.items() if arguments.only in name}
    rows = []
    if "agreement" in arguments.parts:
        rows += [{"part": "agreement", **agreement(*one)} for one in chosen.items()]
    if "speed" in arguments.parts:
        rows += [{"part": "speed", **speed(*one)} for one in chosen.items()]
    report(rows, arguments, "family", ["logits", "prefix", "gradients", "step_s", "times"])


if __name__ == "__main__":
    main()
