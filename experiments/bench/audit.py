"""What the audit costs and what it finds: overhead, planted faults, false alarms on healthy folds.

    python -m lmol.experiments.bench.audit --json rows.json

overhead: the embedded default, trained in full without audit, with the default one, and with one at
every step; turns alternate, the median of each turn's ratio counts. A model of 111 M parameters is
trained for some steps, of which each is audited or none; the default's share is derived from it.
faults: lmol.experiments.bench.faults. healthy: the embedded default's five folds.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from transformers import TrainerCallback

from lmol.config import Config, instantiate, load_config
from lmol.config.schema import Precision
from lmol.data.preparation import PreparedFold, pair_fold
from lmol.experiments.bench.fault_runs import found
from lmol.experiments.bench.faults import FAULTS
from lmol.experiments.bench.llava_shape import build as build_shape
from lmol.experiments.bench.llava_shape import write_random_llava
from lmol.experiments.bench.report import Row, bars
from lmol.model.comparer import Comparer
from lmol.model.features import CachedFeatures, ImageStore
from lmol.tasks.prepare import load_folds
from lmol.tasks.train import build, image_store, seed_everything, trainer_of, watched
from lmol.tracking.processes import SilentFolder
from lmol.tracking.run_folder import RunFolder
from lmol.tracking.tracker import Tracker

WAYS = {
    "off": ("audit=off",),
    "default": ("audit=default",),
    "interval=1": ("audit=default", "audit.interval=1"),
    "full, interval=1": ("audit=full", "audit.interval=1"),
}
PARTS = ("overhead", "large", "faults", "healthy")
LARGE_STEPS, LARGE_IMAGES = 6, 12
Build = Callable[[Config, PreparedFold], tuple[Comparer, ImageStore]]


class AtRest(TrainerCallback):
    """Bytes of all live tensors when the audited step 2 is over."""

    def __init__(self) -> None:
        self.bytes = 0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 2:
            gc.collect()
            self.bytes = live_bytes()


def live_bytes() -> int:
    """Bytes of the storages of all tensors that Python knows; on CUDA what is allocated."""
    if torch.cuda.is_available():
        return int(torch.cuda.memory_allocated())
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for tensor in gc.get_objects()
        if issubclass(type(tensor), torch.Tensor)  # isinstance asks lazy modules for more
    }
    return sum(storages.values())


def train_once(
    config: Config, prepared: PreparedFold, make: Build, folder: Path
) -> tuple[float, int]:
    """Seconds that training took, its pictures, tables and summary among them; bytes at rest."""
    seed_everything(config)
    comparer, images = make(config, prepared)
    run, rest = RunFolder(folder, {}, debug=False), AtRest()
    watching = watched(config, run, comparer, prepared, images, Tracker())
    trainer = trainer_of(config, run, comparer, prepared, images, watching, [rest])
    start = time.monotonic()
    trainer.train()
    watching.close()
    return time.monotonic() - start, rest.bytes


def default_comparer(config: Config, prepared: PreparedFold) -> tuple[Comparer, ImageStore]:
    """The embedded base with cached features."""
    comparer = build(config)
    return comparer, image_store(config, comparer, prepared.split.train, prepared.split.validation)


def large_comparer(config: Config, prepared: PreparedFold) -> tuple[Comparer, ImageStore]:
    """111 M parameters, random, fp32; the features of images are random too."""
    with tempfile.TemporaryDirectory() as folder:
        write_random_llava("100m", Path(folder))
        comparer = build_shape(folder, "none", Precision.FP32)
    names = pd.concat([prepared.split.train, prepared.split.validation])["image"].tolist()
    width = comparer.base.model.config.vision_config.hidden_size
    features = torch.randn(LARGE_IMAGES, comparer.base.num_image_tokens, width)
    return comparer, CachedFeatures(names, features[torch.arange(len(names)) % LARGE_IMAGES])


def overhead(
    model: str, overrides: tuple[str, ...], make: Build, ways: list[str], turns: int
) -> list[Row]:
    """A row a way: seconds, and how much more than without audit, in time and in bytes at rest."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    at_rest: dict[str, int] = {}
    prepared = prepare(load_config(*overrides))
    for turn in range(turns + 1):
        for way in ways:
            config = load_config(*overrides, *WAYS[way])
            with tempfile.TemporaryDirectory() as folder:
                taken, at_rest[way] = train_once(config, prepared, make, Path(folder))
            if turn > 0:  # the first one warms up
                seconds[way].append(taken)
    return [
        {
            "model": model,
            "audit": way,
            "seconds": statistics.median(taken),
            "overhead_%": 100 * statistics.median(_ratios(taken, seconds[ways[0]])) - 100,
            "worst_turn_%": 100 * max(_ratios(taken, seconds[ways[0]])) - 100,
            "at_rest_%": 100 * at_rest[way] / at_rest[ways[0]] - 100,
        }
        for way, taken in seconds.items()
    ]


def _ratios(taken: list[float], without: list[float]) -> list[float]:
    return [a / b for a, b in zip(taken, without, strict=True)]


def prepare(config: Config) -> PreparedFold:
    """The pairs of the configured fold."""
    silent = SilentFolder(Path(tempfile.gettempdir()))
    split = load_folds(config, silent)[config.fold.index - 1]
    return pair_fold(split, instantiate(config.data.schedule), config)


def large_overhead(turns: int) -> list[Row]:
    """Each of some steps audited, or none; the default's overhead follows from its share of steps.

    The default audits 2 steps and every hundredth of the recipe's 4,218.
    """
    overrides = (
        "data.source.num_images=100",
        f"data.schedule.num_pairs={2 * LARGE_STEPS}",
        "train.batch_pairs=2",
        "train.validation_pairs=7",
        "train.validate_every=1.0",
    )
    rows = overhead("111 M", overrides, large_comparer, ["off", "interval=1"], turns)
    every = rows[1]["overhead_%"]
    derived = {"model": "111 M", "audit": "default (derived)", "overhead_%": every * 44 / 4218}
    return [*rows, derived]


def fault_rows() -> list[Row]:
    """By planted fault: which rule found it, after how many steps, and what else was found."""
    rows = []
    for fault in FAULTS:
        result = found(fault)
        spoke = [rule for rule in fault.rules if rule in result["findings"]]
        first = [result["findings"][rule]["first_step"] for rule in spoke]
        rows.append(
            {
                "fault": fault.name,
                "found_by": ", ".join(spoke) or "MISSED",
                "after_steps": max(0, first[0] - fault.since + 1)
                if first[0]
                else 0
                if spoke
                else None,
                "run": result["ended"],
                "also": ", ".join(rule for rule in result["findings"] if rule not in fault.rules),
            }
        )
    return rows


def _faulty_steps(found_at: int, since: int) -> int:
    """How many steps with the fault were taken; 0 where it was found before the first."""
    return 0 if found_at == 0 else found_at - max(since, 1) + 1


def healthy_rows() -> list[Row]:
    """By fold of the embedded default: findings at each severity, with an audit every 20 steps."""
    rows = []
    for fold in range(1, 6):
        config = load_config(f"fold={fold}", "audit.interval=20")
        prepared = prepare(config)
        with tempfile.TemporaryDirectory() as name:
            seed_everything(config)
            comparer, images = default_comparer(config, prepared)
            run = RunFolder(Path(name), {}, debug=False)
            watching = watched(config, run, comparer, prepared, images, Tracker())
            trainer_of(config, run, comparer, prepared, images, watching, []).train()
            findings = watching.close()["findings"]
        counts = {
            s: sum(f["severity"] == s for f in findings) for s in ("info", "warning", "error")
        }
        rows.append({"fold": fold, **counts, "rules": ", ".join(f["rule"] for f in findings)})
    return rows


def main() -> None:
    """Measure the parts that are asked for, print their tables and draw the overheads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--plot", type=Path, default=Path("outputs/bench/audit.png"))
    arguments = parser.parse_args()
    measures: dict[str, Callable[[], list[Row]]] = {
        "overhead": lambda: overhead(
            "embedded default", ("threads=1",), default_comparer, list(WAYS), arguments.turns
        ),
        "large": lambda: large_overhead(arguments.turns),
        "faults": fault_rows,
        "healthy": healthy_rows,
    }
    rows = {}
    for part in arguments.parts:
        rows[part] = measures[part]()
        table = pd.DataFrame(rows[part])
        print(f"\n{part}\n{table.to_string(index=False, float_format='{:.2f}'.format)}", flush=True)
    costs = pd.DataFrame([row for part in PARTS[:2] for row in rows.get(part, [])])
    if len(costs):
        arguments.plot.parent.mkdir(parents=True, exist_ok=True)
        named = costs.assign(audit=costs["model"] + ", " + costs["audit"])
        bars(named, "audit", ["overhead_%"]).savefig(arguments.plot, dpi=150)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
