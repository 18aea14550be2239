"""Training seconds by how many threads compute and how they wait, idle and beside busy processes.

    python -m lmol.experiments.bench.threads [--busy 0 2] [--repeats 2] [--json PATH] [OVERRIDES]

Runs the real command, small: 240 faces, 1,600 pairs. Weights are compared bit for bit.
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

from lmol.experiments.bench.report import Row, add_options, report

SMALL = ("data.source.num_images=240", "data.schedule.num_pairs=1600", "tracking=off")
WAYS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "default": ({}, ()),
    "libgomp's own waiting": ({"GOMP_SPINCOUNT": "300000"}, ()),
    "OMP_WAIT_POLICY=passive": ({"OMP_WAIT_POLICY": "passive"}, ()),
    "threads=1": ({}, ("threads=1",)),
}
"""Environment variables and overrides of each."""


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that compute without an end beside the block."""
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
    command = [sys.executable, "-m", "lmol.run", *overrides, *threads, f"hydra.run.dir={folder}"]
    quiet = {"stdout": subprocess.DEVNULL, "env": os.environ | environment}
    subprocess.run(command, check=True, **quiet)  # type: ignore[call-overload]
    seconds = json.loads((folder / "metrics.json").read_text())["train_seconds"]
    weights = b"".join(
        file.read_bytes() for file in sorted((folder / "checkpoints/last").glob("*.safetensors"))
    )
    return seconds, sha256(weights).hexdigest()[:12]


def measure(
    busy_processes: Sequence[int], repeats: int, overrides: Sequence[str], folder: Path
) -> list[Row]:
    """A row a way and number of busy processes: median seconds; ratio to the quickest there."""
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
    """Print the rows."""
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
