"""The time that an audit adds to a step, measured in one run that audits every second step.

On a busy machine, alternate steps are disturbed equally; whole runs are not.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from transformers import TrainerCallback

from lmol.config import Config, load_config
from lmol.config.schema import Precision
from lmol.data.preparation import PreparedFold
from lmol.experiments.bench.fault_runs import Build, bench_session, bench_trainer, default_model
from lmol.experiments.bench.llava_shape import build as build_shape
from lmol.experiments.bench.llava_shape import write_random_llava
from lmol.experiments.bench.report import Row
from lmol.model.features import CachedFeatures, ImageStore
from lmol.model.pair_model import PairModel
from lmol.runs.run_folder import RunFolder

LARGE_STEPS, LARGE_IMAGES = 12, 12

DEFAULT_STEPS, DEFAULT_AUDITS, DEFAULT_PICTURES = 1000, 12, 11
"""Counts of the built-in example: audits at steps 1, 2, 100, 200 ... 1,000; no picture at 2."""

RECIPE_STEPS, RECIPE_AUDITS, RECIPE_PICTURES = 4218, 45, 44
"""Counts of recipe/scut_llava: 45,000 pairs, 32 per step, three epochs."""


class StepTimes(TrainerCallback):
    """Callback that stores the seconds of every step, until its audit is written."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._began = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seconds.append(time.perf_counter() - self._began)


def measure(model: str, config: Config, make: Build, runs: tuple[int, int, int]) -> Row:
    """Return the milliseconds of an audit, its picture, and start and end; and shares of training.

    runs: steps, audits and pictures of the run for which the default audit's share is computed.
    """
    with tempfile.TemporaryDirectory() as folder:
        times = StepTimes()
        session = bench_session(config, RunFolder(Path(folder), {}, debug=False), make)
        trainer, monitor = bench_trainer(session, times)
        trainer.train()
        start = time.perf_counter()
        monitor.close()  # hashes the frozen weights, like the start of the run
        ends = 2 * (time.perf_counter() - start)
        drawn = {int(path.stem.rpartition("_")[2]) for path in Path(folder).rglob("*flow*.png")}
    return {"model": model, **shares(times.seconds, drawn, ends, runs)}


def shares(seconds: list[float], drawn: set[int], ends: float, runs: tuple[int, int, int]) -> Row:
    """Return the row of `measure` from the seconds of steps 1, 2, ...

    Even steps are audited, and the steps in `drawn` have a picture. ends: seconds of start and end.
    """
    steps = dict(enumerate(seconds, start=1))
    plain = statistics.median(taken for step, taken in steps.items() if step % 2 and step > 1)
    audited = [taken for step, taken in steps.items() if step % 2 == 0 and step not in drawn]
    audit = statistics.median(audited) - plain
    pictures = [steps[step] - plain - audit for step in drawn if step > 1]
    picture = statistics.mean(pictures) if pictures else 0.0
    first = steps[1] - plain - audit - picture  # the first picture also draws the axes
    total, audits, num_pictures = runs
    default = (audits * audit + num_pictures * picture + first + ends) / (total * plain)
    every = (total * audit + num_pictures * picture + first + ends) / (total * plain)
    return {
        "step_ms": 1000 * plain,
        "audit_ms": 1000 * audit,
        "picture_ms": 1000 * picture,
        "once_ms": 1000 * (first + ends),
        "default_%": 100 * default,
        "interval=1_%": 100 * every,
    }


def large_comparer(config: Config, prepared: PreparedFold) -> tuple[PairModel, ImageStore]:
    """Return a random fp32 model of 111 M parameters, and random features of the images."""
    with tempfile.TemporaryDirectory() as folder:
        write_random_llava("100m", Path(folder))
        comparer = build_shape(folder, "none", Precision.FP32)
    names = pd.concat([prepared.split.train, prepared.split.validation])["image"].tolist()
    width = comparer.base.model.config.vision_config.hidden_size
    features = torch.randn(LARGE_IMAGES, comparer.base.num_image_tokens, width)
    return comparer, CachedFeatures(names, features[torch.arange(len(names)) % LARGE_IMAGES])


def step_rows() -> list[Row]:
    """Measure the built-in example, the same with audit=full, and a model of 111 M parameters."""
    every_other = ("audit.interval=2", "threads=1")
    default = (DEFAULT_STEPS, DEFAULT_AUDITS, DEFAULT_PICTURES)
    large = (
        "data.source.num_images=100",
        f"data.schedule.num_pairs={2 * LARGE_STEPS}",
        "train.batch_pairs=2",
        "train.validation_pairs=7",
        "train.validate_every=1.0",
        "audit.interval=2",
        "audit.picture_interval=4",
    )
    return [
        measure("built-in example", load_config(*every_other), default_model, default),
        measure("built-in example, audit=full", load_config("audit=full", *every_other),
                default_model, default),
        measure("111 M", load_config(*large), large_comparer,
                (RECIPE_STEPS, RECIPE_AUDITS, RECIPE_PICTURES)),
    ]  # fmt: skip
