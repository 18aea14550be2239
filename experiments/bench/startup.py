"""Wall seconds from Python's start until a command responds.

    python -m lmol.experiments.bench.startup [--repeats 5] [--json PATH]

Measures --help and --cfg job until they end, and a training until its first line.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial

from lmol.experiments.bench.command import run_command
from lmol.experiments.bench.report import Row, add_options, report

COMMANDS = (("--help",), ("--cfg", "job"))


def seconds(arguments: tuple[str, ...]) -> float:
    """Return the wall seconds of one command, run in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        return run_command(*arguments, cwd=folder)


def seconds_to_first_line() -> float:
    """Return the wall seconds until a training prints its first line; then kill it."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "-m", "lmol.run", "tracking=off"]
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as training:
            assert training.stdout is not None
            training.stdout.readline()
            taken = time.perf_counter() - start
            training.kill()
        return taken


def measure(repeats: int) -> list[Row]:
    """Return a row per command: median and worst of the repeats, after one warm-up."""
    rows = []
    ways: dict[str, Callable[[], float]] = {
        " ".join(arguments): partial(seconds, arguments) for arguments in COMMANDS
    }
    ways["first line of a training"] = seconds_to_first_line
    for name, way in ways.items():
        taken = [way() for _ in range(repeats + 1)][1:]
        row = {"command": name, "median_s": statistics.median(taken)}
        rows.append(row | {"worst_s": max(taken), "repeats": repeats})
    return rows


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    add_options(parser, "startup")
    arguments = parser.parse_args()
    report(measure(arguments.repeats), arguments, "command", ["median_s", "worst_s"])


if __name__ == "__main__":
    main()
