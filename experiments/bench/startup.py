"""How long --help and --cfg job take to answer, from the start of the interpreter to its end.

python -m lmol.experiments.bench.startup [--repeats 5] [--json PATH]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

from lmol.experiments.bench.report import Row, add_options, report

COMMANDS = (("--help",), ("--cfg", "job"))


def seconds(arguments: tuple[str, ...]) -> float:
    """Wall seconds of one command, run in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "-m", "lmol.run", *arguments]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


def measure(repeats: int) -> list[Row]:
    """One row a command: median and worst wall seconds over the repeats, after one warm-up."""
    rows = []
    for arguments in COMMANDS:
        taken = [seconds(arguments) for _ in range(repeats + 1)][1:]
        row = {"command": " ".join(arguments), "median_s": statistics.median(taken)}
        rows.append(row | {"worst_s": max(taken), "repeats": repeats})
    return rows


def main() -> None:
    """Print a row a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    add_options(parser, "startup")
    arguments = parser.parse_args()
    report(measure(arguments.repeats), arguments, "command", ["median_s", "worst_s"])


if __name__ == "__main__":
    main()
