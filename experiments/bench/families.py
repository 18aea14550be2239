"""Agreement of every family with its stock classes, and what a prefix read once saves.

    python -m lmol.experiments.bench.families [--only NAME] [--parts agreement,speed] [--json PATH]

agreement: tiny random models in fp32; a row has the largest differences of logits from those of the
stock forward from pixels, of logits with a prefix read once, and of gradients (as a share of the
largest of a tensor). speed: random models of about 100 M parameters; seconds of a training step of
4 pairs, and of judging 4 first images with 8 others each, with a prefix read once and by whole
prompts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lmol.experiments.bench.family_models import FAMILIES, Family, build
from lmol.experiments.bench.report import Row, add_options, report
from lmol.experiments.bench.tiny_families import write_tiny
from lmol.experiments.bench.tiny_size import Size
from lmol.model.vlm.comparer import Comparer
from lmol.model.vlm.scorer import WholeBlock

MEDIUM = Size(vision=(512, 8), text=(640, 12), head=64, side=112)


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
    first, second = torch.arange(4), torch.arange(8, 16).repeat(4)
    which = torch.arange(4).repeat_interleave(8)
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
    columns = ("logits", "prefix", "gradients", "step_s", "times")
    measured = [name for name in columns if any(name in row for row in rows)]
    report(rows, arguments, "family", measured)


if __name__ == "__main__":
    main()
