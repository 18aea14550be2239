"""Training steps at LLaVA-1.5-7B's exact shape, with random weights built from its configuration.

    python -m lmol.experiments.bench.llava_shape --quantization nf4 none --json rows.json

Time and memory depend only on shapes, so no pretrained weights are needed. Without a CUDA device
the rows say "not measured"; --shape tiny runs the same code at a toy size on any machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPImageProcessor, LlavaConfig, LlavaForConditionalGeneration

from lmol.config.schema import (
    AnswersConfig,
    Attention,
    ConsistencyConfig,
    LossConfig,
    Precision,
    ProjectorStart,
    PromptForm,
    Quantization,
)
from lmol.experiments.bench.report import Row, add_options, report
from lmol.model.vlm.backbone import LlavaBackbone
from lmol.model.vlm.comparer import Comparer, build_comparer
from lmol.model.vlm.spec import LoraConfig, VisionLanguageModel
from lmol.training.losses import PairTargets, pair_loss

MEASURED = ("step_s", "sequences_per_s", "peak_gib")

QUESTION = "Which face looks more attractive?"
ANSWERS = AnswersConfig(first="First", second="Second", similar="Similar")
LOSS = LossConfig(
    w_similar=1.05,
    swap_ce_weight=1.0,
    consistency=ConsistencyConfig(start=20.0, end=20.0, ramp_ratio=0.0),
)

EMBEDDED = "pkg://lmol.model.tiny_base"

VISION = {"image_size": 336, "patch_size": 14, "model_type": "clip_vision_model"}
TEXT = {"vocab_size": 32064, "max_position_embeddings": 4096, "model_type": "llama"}
SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "7b": (
        {**VISION, **dict(zip(SIZES, (1024, 4096, 24, 16), strict=True))},
        {**TEXT, **dict(zip(SIZES, (4096, 11008, 32, 32), strict=True))},
    ),
    "100m": (
        {**VISION, "image_size": 168, **dict(zip(SIZES, (320, 1280, 6, 5), strict=True))},
        {**TEXT, **dict(zip(SIZES, (640, 1792, 12, 10), strict=True))},
    ),
    "tiny": (
        {**VISION, **dict(zip(SIZES, (64, 128, 2, 4), strict=True))},
        {**TEXT, **dict(zip(SIZES, (64, 128, 2, 4), strict=True))},
    ),
}
"""Configurations of vision tower and language model."""


def write_random_llava(shape: str, folder: Path) -> None:
    """Write a LLaVA of the shape with random bf16 weights and the tiny base's tokeniser."""
    vision, text = SHAPES[shape]
    processor = backbone(EMBEDDED, "none").load().processor
    side = vision["image_size"]
    processor.image_processor = CLIPImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    processor.patch_size = VISION["patch_size"]
    processor.save_pretrained(folder)
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=processor.image_token_id,
        projector_hidden_act="gelu_pytorch_tanh",
    )
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = LlavaForConditionalGeneration(config).bfloat16()
    model.save_pretrained(folder)


def backbone(weights: str, quantization: str, dtype: Precision = Precision.BF16) -> LlavaBackbone:
    """Return the base as recipe/scut_llava loads it, with other weights or number types."""
    return LlavaBackbone(
        weights=weights,
        revision=None,
        dtype=dtype,
        quantization=Quantization(quantization),
        double_quantization=True,
        attention=Attention.SDPA,
    )


def build(weights: str, quantization: str, dtype: Precision = Precision.BF16) -> Comparer:
    """Return the comparer as recipe/scut_llava builds it."""
    lora = LoraConfig(r=8, alpha=32, dropout=0.05, targets=r".*language_model\..*\.(q|k|v|o)_proj")
    config = VisionLanguageModel(
        backbone={},
        projector=ProjectorStart.FRESH,
        lora=lora,
        prompt=PromptForm.CHAT,
        compile=False,
        cache_features=False,
    )
    return build_comparer(backbone(weights, quantization, dtype), config, QUESTION, ANSWERS)


def measure(comparer: Comparer, batch_pairs: int, steps: int, recompute: bool) -> Row:
    """Return seconds per step, sequences per second and peak GiB, after one warm-up step."""
    if recompute:
        comparer.enable_activation_checkpointing()
    trained = [parameter for parameter in comparer.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    side = comparer.base.image_size
    pixels = torch.randn(batch_pairs, 2, 3, side, side, device=comparer.device)
    first_wins = torch.eye(3, device=comparer.device)[[0, 1]].expand(batch_pairs, 2, 3)
    targets = PairTargets(
        shares=first_wins, weights=torch.ones(batch_pairs, device=comparer.device)
    )
    comparer.train()
    step(comparer, optimizer, pixels, targets)
    start = _now(comparer.device)
    for _ in range(steps):
        step(comparer, optimizer, pixels, targets)
    seconds = (_now(comparer.device) - start) / steps
    peak = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else float("nan")
    return {"step_s": seconds, "sequences_per_s": 2 * batch_pairs / seconds, "peak_gib": peak}


def step(
    comparer: Comparer,
    optimizer: torch.optim.Optimizer,
    pixels: torch.Tensor,
    targets: PairTargets,
) -> None:
    """Make one optimizer step on both orders of all pairs."""
    with torch.autocast(comparer.device.type, dtype=torch.bfloat16):
        logits = comparer(pixel_values=pixels)
    pair_loss(logits, targets, LOSS, progress=0.0).total.backward()
    optimizer.step()
    optimizer.zero_grad()


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.monotonic()


def main() -> None:
    """Measure each quantisation, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quantization", nargs="+", default=["nf4", "none"])
    parser.add_argument("--shape", choices=sorted(SHAPES), default="7b")
    parser.add_argument("--batch-pairs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--recompute", action="store_true")
    add_options(parser, "llava_shape")
    arguments = parser.parse_args()
    rows = [row(kind, arguments) for kind in arguments.quantization]
    report(rows, arguments, "quantization", MEASURED)


def row(quantization: str, arguments: argparse.Namespace) -> Row:
    """Return the row of one quantisation; it says so if it cannot be measured here."""
    facts = {"shape": arguments.shape, "quantization": quantization}
    if arguments.shape == "7b" and not torch.cuda.is_available():
        return {**facts, **dict.fromkeys(MEASURED, "not measured")}
    with tempfile.TemporaryDirectory() as folder:
        write_random_llava(arguments.shape, Path(folder))
        comparer = build(folder, quantization)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    measured = measure(comparer, arguments.batch_pairs, arguments.steps, arguments.recompute)
    return {**facts, "batch_pairs": arguments.batch_pairs, **measured}


if __name__ == "__main__":
    main()
