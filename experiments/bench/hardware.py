"""Memory and work of a training step of real models, estimated, and measured with random weights.

    python -m lmol.experiments.bench.hardware [--measure smolvlm2_256m,smolvlm2_500m] [--json PATH]

The estimate is that of task=audit: nothing is computed. A measured row trains a model of the same
shape with random weights on this machine, in a process of its own: peak memory at few and at many
pairs a step, and seconds of a step.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from lmol.config import instantiate, load_config
from lmol.experiments.bench.report import Row, add_options, report
from lmol.experiments.bench.shapes import SHAPES
from lmol.experiments.bench.tiny_families import MAKERS, hf
from lmol.experiments.bench.tiny_size import Size
from lmol.model.load import Load
from lmol.model.vlm.estimate import load_of
from lmol.model.vlm.loading import DTYPES, Backbone
from lmol.model.vlm.spec import VisionLanguageModel

WORDS = 60
"""Tokens of a prompt beside its images."""

FEW, MANY = 2, 6
"""Pairs of measured steps; the memory of reading the weights is more than that of a single pair."""

GIB = 2**30
MEASURED = Size(vision=(32, 2), text=(64, 2), head=16, side=448)
"""The processor's size: 448 pixels, or 512 for SmolVLM."""


def estimated(name: str, quantization: str | None = None, words: int = WORDS) -> Load:
    """Return the load of a model of the group, with so many words beside the images."""
    more = [f"model.backbone.quantization={quantization}"] if quantization else []
    model: VisionLanguageModel = instantiate(
        load_config("task=prepare", f"model={name}", *more).model, "model"
    )
    backbone: Backbone = instantiate(model.backbone, "model.backbone")
    config = SHAPES[name]()
    tokens = 2 * backbone.family.tokens_of(config, getattr(backbone, "image_size", None)) + words
    form = (DTYPES[backbone.dtype], backbone.quantization.value)
    return load_of(config, backbone.family, model.lora, tokens, form)


def row(name: str, quantization: str) -> Row:
    """Return the estimate of a model in a form."""
    load = estimated(name, quantization)
    return {
        "model": name,
        "form": quantization,
        "millions": round(load.parameters / 1e6),
        "tokens": load.tokens,
        "tflop_a_pair": load.flop / 1e12,
        "weights_gib": load.weights / GIB,
        "a_pair_gib": load.activations / GIB,
        "a_pair_recomputed_gib": load.recomputed / GIB,
        "step_of_4_gib": load.step_bytes(4, recompute=False) / GIB,
        "step_of_4_recomputed_gib": load.step_bytes(4, recompute=True) / GIB,
    }


def write_shape(name: str, folder: Path) -> None:
    """Write random weights of a SmolVLM's shape, with a processor of few words."""
    config = SHAPES[name]()
    _, processor = MAKERS["smolvlm"](MEASURED)
    config.image_token_id = processor.tokenizer.convert_tokens_to_ids("<image>")
    torch.manual_seed(0)
    hf.AutoModelForImageTextToText.from_config(config).save_pretrained(folder)
    processor.save_pretrained(folder)


def train_steps(name: str, folder: str, batch_pairs: int, steps: int) -> Row:
    """Train some steps here; return seconds of one, and the peak of this process's memory."""
    more = [f"model.backbone.weights={folder}", "model.backbone.revision=null"]
    config = load_config("task=prepare", f"model={name}", *more)
    model: VisionLanguageModel = instantiate(config.model, "model")
    comparer = model.build("Which face looks more attractive?", config.data.answers)
    pixels = comparer.encoder.preprocess([comparer.base.blank])
    features = comparer.encoder.encode(pixels).expand(2 * batch_pairs, -1, -1)
    pairs = features.unflatten(0, (batch_pairs, 2)) + torch.randn(batch_pairs, 2, 1, 1)
    trained = [one for one in comparer.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    comparer.train()
    for _ in range(steps):
        start = time.perf_counter()
        comparer(features=pairs).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    words = len(comparer.prompt.input_ids) - 2 * comparer.base.num_image_tokens
    return {"seconds": time.perf_counter() - start, "peak": peak, "words": words}


def measured(name: str) -> Row:
    """Return memory and seconds of a model of the same shape with random weights."""
    with tempfile.TemporaryDirectory() as folder:
        write_shape(name, Path(folder))
        few, many = (_in_a_process(name, folder, pairs) for pairs in (FEW, MANY))
    load = estimated(name, words=few["words"])
    a_pair = (many["peak"] - few["peak"]) / (MANY - FEW)
    return {
        "model": name,
        "form": "measured",
        "tokens": load.tokens,
        "step_of_few_gib": few["peak"] / GIB,
        "step_of_many_gib": many["peak"] / GIB,
        "estimated_step_of_many_gib": load.step_bytes(MANY, recompute=False) / GIB,
        "a_pair_gib": a_pair / GIB,
        "estimated_a_pair_gib": load.activations / GIB,
        "ratio": a_pair / load.activations,
        "step_of_many_s": many["seconds"],
        "gflop_a_s": MANY * load.flop / many["seconds"] / 1e9,
    }


def _in_a_process(name: str, folder: str, batch_pairs: int) -> dict[str, Any]:
    command = [sys.executable, "-m", __spec__.name, "--train", name, folder, str(batch_pairs)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Estimate all shapes, and measure those that were named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", default="", help="names of SmolVLM shapes")
    parser.add_argument("--train", nargs=3, help=argparse.SUPPRESS)
    add_options(parser, "hardware")
    arguments = parser.parse_args()
    if arguments.train:
        name, folder, batch_pairs = arguments.train
        print(json.dumps(train_steps(name, folder, int(batch_pairs), steps=3)))
        return
    rows = [row(name, form) for name in SHAPES for form in ("none", "nf4")]
    rows += [measured(name) for name in filter(None, arguments.measure.split(","))]
    report(rows, arguments, "model", ["a_pair_gib", "step_of_4_recomputed_gib", "tflop_a_pair"])


if __name__ == "__main__":
    main()
