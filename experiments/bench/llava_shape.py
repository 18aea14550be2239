"""Training steps at LLaVA-1.5-7B's exact shape, with random weights built from its configuration.

    python -m lmol.experiments.bench.llava_shape --quantization nf4 none --json rows.json

Time and memory depend on shapes alone, so no pretrained weights are needed. Without a CUDA device
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
SHAPES: dict[str, dict[str, dict[str, Any]]] = {
    "7b": {
        "vision_config": {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
        },
        "text_config": {
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "vocab_size": 32064,
            "max_position_embeddings": 4096,
        },
    },
    "100m": {
        "vision_config": {
            "image_size": 168,
            "hidden_size": 320,
            "intermediate_size": 1280,
            "num_hidden_layers": 6,
            "num_attention_heads": 5,
        },
        "text_config": {
            "hidden_size": 640,
            "intermediate_size": 1792,
            "num_hidden_layers": 12,
            "num_attention_heads": 10,
            "vocab_size": 32064,
            "max_position_embeddings": 4096,
        },
    },
    "tiny": {
        "vision_config": {
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
        },
        "text_config": {
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "vocab_size": 32064,
            "max_position_embeddings": 4096,
        },
    },
}


def write_random_llava(shape: str, folder: Path) -> None:
    """A LLaVA of the shape, random bf16 weights, with the embedded base's tokeniser."""
    sizes, vision = SHAPES[shape], {**VISION, **SHAPES[shape]["vision_config"]}
    processor = LlavaBackbone(**backbone(EMBEDDED, "none")).load().processor
    side = vision["image_size"]
    processor.image_processor = CLIPImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    processor.patch_size = VISION["patch_size"]
    processor.save_pretrained(folder)
    config = LlavaConfig(
        vision_config=vision,
        text_config={"model_type": "llama", **sizes["text_config"]},
        image_token_index=processor.image_token_id,
        projector_hidden_act="gelu_pytorch_tanh",
    )
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = LlavaForConditionalGeneration(config).bfloat16()
    model.save_pretrained(folder)


def backbone(weights: str, quantization: str, dtype: Precision = Precision.BF16) -> dict[str, Any]:
    """Constructor arguments of LlavaBackbone."""
    return {
        "weights": weights,
        "revision": None,
        "dtype": dtype,
        "quantization": Quantization(quantization),
        "double_quantization": True,
        "attention": Attention.SDPA,
    }


def build(weights: str, quantization: str, dtype: Precision = Precision.BF16) -> Comparer:
    """The comparer as recipe/scut_llava builds it."""
    lora = LoraConfig(r=8, alpha=32, dropout=0.05, targets=r".*language_model\..*\.(q|k|v|o)_proj")
    config = VisionLanguageModel(
        backbone={},
        projector=ProjectorStart.FRESH,
        lora=lora,
        prompt=PromptForm.CHAT,
        compile=False,
        cache_features=False,
    )
    loaded = LlavaBackbone(**backbone(weights, quantization, dtype))
    return build_comparer(loaded, config, QUESTION, ANSWERS)


def measure(comparer: Comparer, batch_pairs: int, steps: int, recompute: bool) -> Row:
    """Seconds a step, sequences a second and peak GiB over `steps` steps after one to warm up."""
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
    """One optimizer step over both orders of all pairs."""
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
    """Print one row a quantisation."""
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
    """The measurements of one quantisation, or that there were none."""
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
