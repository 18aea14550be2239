"""Pairs per second of four ways to judge pairs: generate, batched forwards, and the judge.

    python -m lmol.experiments.bench.judge --models tiny 100m --json rows.json

A pair is judged in both orders, which takes two questions. `generate` (one call per question),
`stock` (transformers' forward in batches) and `comparer` (our forward, where both orders share
vision features) judge pairs of drawn faces in random order until their time is over, and open the
images of every question or pair again. `judge` judges all pairs and does everything that a run's
judge does: fingerprint, image files, vision features, answer cache and progress. The ways take
turns; a rate is the median over the turns. Each way uses the batch size that was fastest in a short
trial. The 7B shapes are measured only on a CUDA device. P pairs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from lmol.config.schema import Precision
from lmol.data.evaluation_pairs import all_pairs
from lmol.data.sources.synthetic import SyntheticFaces
from lmol.evaluation.judge import answering
from lmol.experiments.bench.judge_ways import WAYS, Probabilities
from lmol.experiments.bench.llava_shape import EMBEDDED, build, write_random_llava
from lmol.experiments.bench.report import Row, add_options, save
from lmol.model.vlm.comparer import Comparer

TURNS = 3
TRIAL = 0.1
"""Share of a way's seconds for the trial of each batch size; at least one pass of the judge."""

MEASURED = (
    "batch",
    "pairs_per_s",
    "judge_times",
    "slowest_turn",
    "pairs_compared",
    "largest_difference",
    "other_answers",
)
"""batch: questions per forward. judge_times: the judge's rate divided by this one. slowest_turn: in
pairs per second. pairs_compared: number of pairs whose answers are compared with the judge's; for
these, the largest difference of a probability, and the number with another answer in an order."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model to measure: a shape of llava_shape, or None for the tiny base.

    num_images: number of images whose pairs are judged; num_trial: the same in the trial of the
    batch sizes.
    """

    shape: str | None
    dtype: Precision = Precision.FP32
    quantization: str = "none"
    num_images: int = 24
    num_trial: int = 12
    batches: tuple[int, ...] = (8, 16, 32, 64)

    def build(self, folder: Path) -> Comparer:
        """Return a new comparer; random weights are first written to `folder`."""
        torch.manual_seed(0)
        if self.shape is None:
            return build(EMBEDDED, self.quantization, self.dtype)
        write_random_llava(self.shape, folder)
        return build(str(folder), self.quantization, self.dtype)


MODELS = {
    "tiny": Model(shape=None, num_images=160, num_trial=80, batches=(32, 64, 128, 256, 512)),
    "100m": Model(shape="100m"),
    "7b-bf16": Model(shape="7b", dtype=Precision.BF16),
    "7b-nf4": Model(shape="7b", dtype=Precision.BF16, quantization="nf4"),
}


@dataclass(frozen=True)
class Contest:
    """A comparer, the score table of some images and a table of P pairs of them."""

    comparer: Comparer
    images: pd.DataFrame
    pairs: pd.DataFrame

    def turn(self, way: str, batch: int, seconds: float) -> tuple[float, Probabilities]:
        """Return pairs per second, and the answers to the first pairs, at most once per pair.

        It starts again after the last pair until the time is over; it finishes a started batch.
        """
        passes = (WAYS[way](self.comparer, self.images, self.pairs, batch) for _ in repeat(None))
        found, start = [], time.perf_counter()
        with answering(self.comparer):
            for answers in chain.from_iterable(passes):
                found.append(answers)
                if (taken := time.perf_counter() - start) >= seconds:
                    break
        every = np.concatenate(found)
        return len(every) / taken, every[: len(self.pairs)]


def fastest_batch(contest: Contest, way: str, batches: Sequence[int], seconds: float) -> int:
    """Return the fastest of the batch sizes; the trial is also the warm-up."""
    if way == "generate":
        batches = (1,)
    return max(batches, key=lambda batch: contest.turn(way, batch, seconds)[0])


def model_rows(name: str, num_images: int | None, seconds: float) -> list[Row]:
    """Return a row per way for one model; the rows say so if it cannot be measured here."""
    model = MODELS[name]
    if model.shape == "7b" and not torch.cuda.is_available():
        return [
            {"model": name, "way": way, **dict.fromkeys(MEASURED, "not measured")} for way in WAYS
        ]
    with tempfile.TemporaryDirectory() as folder:
        comparer = model.build(Path(folder))
        side, num = comparer.base.image_size, num_images or model.num_images
        source = SyntheticFaces(root=Path(folder), num_images=num, image_size=side, seed=42)
        faces = source.load().images
        pairs = all_pairs(faces, theta=0.2).sample(frac=1, random_state=0)
        short = Contest(comparer, faces, all_pairs(faces[: model.num_trial], theta=0.2))
        sizes = {way: fastest_batch(short, way, model.batches, TRIAL * seconds) for way in WAYS}
        rows = contest_rows(Contest(comparer, faces, pairs), sizes, seconds)
    return [{"model": name, **row} for row in rows]


def contest_rows(contest: Contest, sizes: dict[str, int], seconds: float) -> list[Row]:
    """Return a row with the columns MEASURED per way; the seconds are divided into turns."""
    turns = [
        {way: contest.turn(way, size, seconds / TURNS) for way, size in sizes.items()}
        for _ in range(TURNS)
    ]
    rates = {way: [turn[way][0] for turn in turns] for way in sizes}
    best, right = statistics.median(rates["judge"]), turns[0]["judge"][1]
    rows = []
    for way, batch in sizes.items():
        rate, answers = statistics.median(rates[way]), max((t[way][1] for t in turns), key=len)
        asked = {"batch": batch, "pairs_per_s": rate, "judge_times": best / rate}
        agreed = agreement(answers, right[: len(answers)])
        rows.append({"way": way, **asked, "slowest_turn": min(rates[way]), **agreed})
    return rows


def agreement(answers: Probabilities, right: Probabilities) -> Row:
    """Return the differences between probabilities (P, 2, 3) and the judge's, `right`."""
    other = (answers.argmax(-1) != right.argmax(-1)).any(axis=1)
    return {
        "pairs_compared": len(answers),
        "largest_difference": float(np.abs(answers - right).max()),
        "other_answers": int(other.sum()),
    }


def plot(table: pd.DataFrame) -> Figure:
    """Return bars of pairs per second on a log axis, in one group per model."""
    models = list(table["model"].unique())
    figure = Figure(figsize=(7.5, 1.2 + 0.9 * len(models)), layout="constrained")
    axes = figure.subplots()
    rates = pd.to_numeric(table["pairs_per_s"], errors="coerce")
    for place, way in enumerate(WAYS):
        mine = rates[table["way"] == way].to_numpy()
        drawn = axes.barh(np.arange(len(mine)) + 0.21 * (place - 1.5), mine, 0.19, label=way)
        axes.bar_label(drawn, ["" if np.isnan(rate) else _shown(rate) for rate in mine], padding=3)
    unmeasured = set(table.loc[rates.isna(), "model"])
    axes.set_yticks(
        range(len(models)), [f"{m}\nnot measured" if m in unmeasured else m for m in models]
    )
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.set_xscale("log")
    # A log axis needs limits even if nothing was measured.
    low, high = (rates.min(), rates.max()) if rates.notna().any() else (1.0, 1.0)
    axes.set_xlim(low / 3, high * 3)
    axes.set_xlabel("pairs/s, in both orders")
    figure.legend(loc="outside upper center", ncols=len(WAYS), frameon=False)
    return figure


def _shown(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.2g}"


def main() -> None:
    """Measure each model and way; print, draw and save the rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "judge")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--images", type=int, help="number of images whose pairs are judged")
    parser.add_argument("--seconds", type=float, default=20.0, help="time for each way")
    parser.add_argument("--threads", type=int, help="torch threads")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    rows: list[Row] = []
    for name in arguments.models:
        rows += model_rows(name, arguments.images, arguments.seconds)
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.4g}".format))
    save(rows, plot(table), arguments)


if __name__ == "__main__":
    main()
