"""Memory, open files and threads of a long training, and of many jobs in one process.

    python -m lmol.experiments.bench.long_run [--steps 2000] [--jobs 30] [--json PATH]

The real command runs in a process that is sampled twice a second. growth_%: memory in use at the
end compared with that after a fifth of the steps or jobs, each the median of a tenth of the
samples.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from lmol.experiments.bench.report import Row, add_options, report

SMALL = (
    "data.source.num_images=60",
    "train.batch_pairs=2",
    "model.lora.r=2",
    "threads=1",
    "eval.pairs=40",
    "tracking=off",
)
PAIRS = 200
INTERVAL = 0.5
START = 0.2
"""Share of the steps or jobs after which caches are filled."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """State of a process: share of its work that is done, bytes of memory, open files, threads."""

    done: float
    memory: int
    files: int
    threads: int


def sampled(arguments: Sequence[str], folder: str, done: Callable[[], float]) -> list[Sample]:
    """Run the command, and return samples until it ends."""
    command = [sys.executable, "-m", "lmol.run", *arguments]
    samples: list[Sample] = []
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                memory = watched.memory_info().rss
                samples.append(
                    Sample(
                        done=done(),
                        memory=memory,
                        files=watched.num_fds(),
                        threads=watched.num_threads(),
                    )
                )
            except psutil.NoSuchProcess:
                break
            time.sleep(INTERVAL)
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}")
    return samples


def summary(what: str, samples: Sequence[Sample]) -> Row:
    """Return the row of a command: at the start of its steady part, and at its end."""
    steady = [one for one in samples if START <= one.done < 1]
    tenth = max(len(steady) // 10, 1)
    first, last = steady[:tenth], steady[-tenth:]
    memory = [statistics.median(one.memory for one in part) / 1e6 for part in (first, last)]
    return {
        "what": what,
        "samples": len(steady),
        "start_mb": memory[0],
        "end_mb": memory[1],
        "growth_%": 100 * (memory[1] / memory[0] - 1),
        "files_start": max(one.files for one in first),
        "files_end": max(one.files for one in last),
        "threads_start": max(one.threads for one in first),
        "threads_end": max(one.threads for one in last),
    }


def long_training(steps: int) -> Row:
    """Return the row of one training of about so many steps."""
    epochs = -(-steps * 2 // PAIRS)
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "run/metrics.jsonl"

        def done() -> float:
            lines = records.read_text().splitlines() if records.exists() else []
            trained = [line for line in lines if '"loss"' in line]
            return len(trained) * 10 / steps

        arguments = (f"data.schedule.num_pairs={PAIRS}", f"train.epochs={epochs}")
        often = ("train.log_every=10", "train.save_every=50", "audit.interval=20")
        return summary(
            f"{steps} steps",
            sampled([*SMALL, *arguments, *often, "hydra.run.dir=run"], folder, done),
        )


def many_jobs(jobs: int) -> Row:
    """Return the row of a sweep with so many small jobs in one process."""
    with tempfile.TemporaryDirectory() as folder:
        sweep = Path(folder) / "sweep"
        pairs = "data.schedule.num_pairs=48"
        swept = ("-m", f"optim.weight_decay=range(0,{jobs})", "hydra.sweep.dir=sweep")
        return summary(
            f"{jobs} jobs",
            sampled(
                [*SMALL, pairs, *swept],
                folder,
                lambda: len(list(sweep.glob("*/metrics.json"))) / jobs,
            ),
        )


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=30)
    add_options(parser, "long_run")
    arguments = parser.parse_args()
    rows = [long_training(arguments.steps), many_jobs(arguments.jobs)]
    report(rows, arguments, "what", ["growth_%", "files_end", "threads_end"])


if __name__ == "__main__":
    main()
