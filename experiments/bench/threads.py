"""Training seconds by number of threads and their way of waiting, with and without other load.

    python -m lmol.experiments.bench.threads [--busy 0 2] [--repeats 2] [--json PATH] [OVERRIDES]

Runs the real command on 240 faces and 1,600 pairs. Weights are compared bit for bit.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from lmol.experiments.bench.command import run_command
from lmol.experiments.bench.report import Row, add_options, report

SMALL = ("data.source.num_images=240", "data.schedule.num_pairs=1600", "tracking=off")
WAYS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "default": ({}, ()),
    "libgomp's own waiting": ({"GOMP_SPINCOUNT": "300000"}, ()),
    "OMP_WAIT_POLICY=passive": ({"OMP_WAIT_POLICY": "passive"}, ()),
    "threads=1": ({}, ("threads=1",)),
}
"""Environment variables and overrides of each way."""


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Run this number of endlessly computing processes during the block."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def training(way: str, overrides: Sequence[str], folder: Path) -> tuple[float, str]:
    """Return the seconds of a training and a hash of its weights."""
    environment, threads = WAYS[way]
    where = f"hydra.run.dir={folder}"
    run_command(*overrides, *threads, where, env=os.environ | environment)
    seconds = json.loads((folder / "metrics.json").read_text())["train_seconds"]
    weights = b"".join(
        file.read_bytes() for file in sorted((folder / "checkpoints/last").glob("*.safetensors"))
    )
    return seconds, sha256(weights).hexdigest()[:12]


def measure(
    busy_processes: Sequence[int], repeats: int, overrides: Sequence[str], folder: Path
) -> list[Row]:
    """Return a row per way and number of busy processes; ratio: to the fastest way at that load."""
    rows: list[Row] = []
    for number in busy_processes:
        taken: dict[str, list[float]] = {way: [] for way in WAYS}
        hashes: dict[str, str] = {}
        with busy(number):
            for turn in range(repeats):
                for index, way in enumerate(WAYS):
                    place = folder / f"{number}_{turn}_{index}"
                    seconds, hashes[way] = training(way, overrides, place)
                    taken[way].append(seconds)
        best = min(map(statistics.median, taken.values()))
        rows += [
            {"way": f"{way}, {number} busy", "train_s": statistics.median(seconds)}
            | {"ratio": statistics.median(seconds) / best, "weights": hashes[way]}
            for way, seconds in taken.items()
        ]
    return rows


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--repeats", type=int, default=2)
    add_options(parser, "threads")
    parser.add_argument("overrides", nargs="*", help="passed on to every training")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        overrides = [*SMALL, f"data.root={folder}/faces", *arguments.overrides]
        rows = measure(arguments.busy, arguments.repeats, overrides, Path(folder))
    report(rows, arguments, "way", ["train_s", "ratio"])


if __name__ == "__main__":
    main()
