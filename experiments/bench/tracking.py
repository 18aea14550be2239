"""Cost of offline tracking with W&B in a run of the built-in example.

    python -m lmol.experiments.bench.tracking [--turns 3] [--json PATH] [overrides ...]

There are two measurements, because the second is as noisy as the machine: the seconds that one run
spends in calls of the tracker, including W&B's import and start; and the CPU seconds of whole
commands and their child processes, with and without tracking in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lmol.experiments.bench.report import Row, add_options, report

CALLS = ("__init__", "log", "table", "image", "summary", "note", "artifact", "finish")
TIMED = "--timed"
"""First argument of the separate process that times the calls of one run."""


def timed(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """Return the function with a timer: the seconds of each call are added to `spent`."""

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            spent.append(time.perf_counter() - start)

    return call


def run_timed(arguments: list[str]) -> None:
    """Run the command; print the seconds of each call by method of the tracker, as JSON."""
    from lmol.run import main
    from lmol.tracking import wandb, wandb_session

    spent: dict[str, list[float]] = defaultdict(list)
    wandb_session.load = timed(wandb_session.load, spent["load"])
    for name in CALLS:
        setattr(wandb.WandbTracker, name, timed(getattr(wandb.WandbTracker, name), spent[name]))
    sys.argv = ["lmol", *arguments]
    main()
    print(json.dumps(spent))


def calls(overrides: list[str], folder: Path) -> list[Row]:
    """Return a row per method of the tracker, and their sum."""
    command = [sys.executable, "-m", "lmol.experiments.bench.tracking", TIMED, *overrides]
    where = f"hydra.run.dir={folder}/timed"
    printed = subprocess.run([*command, where], check=True, capture_output=True, text=True).stdout
    spent: dict[str, list[float]] = json.loads(printed.splitlines()[-1])
    seconds = json.loads((folder / "timed" / "metrics.json").read_text())["train_seconds"]
    spent["all"] = [second for times in spent.values() for second in times]
    return [
        {"what": f"calls of {name}", "number": len(times), "seconds": sum(times)}
        | {"percent_of_training": 100 * sum(times) / seconds}
        for name, times in spent.items()
    ]


def cpu_seconds(mode: str, overrides: list[str], folder: Path) -> float:
    """Return the CPU seconds (user and system) of one command and its child processes."""
    command = [sys.executable, "-m", "lmol.run", f"tracking={mode}", *overrides]
    process = subprocess.Popen(
        [*command, f"hydra.run.dir={folder}/{time.time_ns()}"], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"the command ended with status {status}")
    return usage.ru_utime + usage.ru_stime


def turns(overrides: list[str], folder: Path, num: int) -> list[Row]:
    """Run commands with and without tracking in turn; return medians, and the median ratio."""
    both = [
        (cpu_seconds("off", overrides, folder), cpu_seconds("offline", overrides, folder))
        for _ in range(num)
    ]
    off, offline = (statistics.median(column) for column in zip(*both, strict=True))
    more = statistics.median(100 * (tracked / plain - 1) for plain, tracked in both)
    rows = {"off": (off, None), "offline": (offline, more)}
    return [
        {"what": f"CPU of a command, tracking={mode}", "number": num, "seconds": seconds}
        | {"percent_of_training": percent}
        for mode, (seconds, percent) in rows.items()
    ]


def main() -> None:
    """Measure the calls and, with --turns, whole commands; report."""
    if sys.argv[1:2] == [TIMED]:
        run_timed(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3, help="pairs of whole commands; 0: none")
    add_options(parser, "tracking")
    parser.add_argument("overrides", nargs="*", help="passed on to every run")
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        overrides = [f"data.root={folder}/faces", *arguments.overrides]
        rows = calls(overrides, folder)
        if arguments.turns:
            rows += turns(overrides, folder, arguments.turns)
    report(rows, arguments, "what", ["seconds", "percent_of_training"])


if __name__ == "__main__":
    main()
