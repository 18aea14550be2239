"""How long --help and --cfg job take to answer, from the start of the interpreter to its end.

python -m lmol.experiments.bench.startup [--repeats 5] [--json PATH]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COMMANDS = (("--help",), ("--cfg", "job"))


def seconds(arguments: tuple[str, ...]) -> float:
    """Wall seconds of one command, run in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "-m", "lmol.run", *arguments]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


def measure(repeats: int) -> list[dict[str, Any]]:
    """One row a command: median and worst wall seconds over the repeats, after one warm-up."""
    rows = []
    for arguments in COMMANDS:
        taken = [seconds(arguments) for _ in range(repeats + 1)][1:]
        row = {"command": " ".join(arguments), "median_s": statistics.median(taken)}
        rows.append(row | {"worst_s": max(taken), "repeats": repeats})
    return rows


def main() -> None:
    """Print the table; with --json write its rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = measure(arguments.repeats)
    print(f"{'command':<12}{'median s':>10}{'worst s':>10}")
    for row in rows:
        print(f"{row['command']:<12}{row['median_s']:>10.2f}{row['worst_s']:>10.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
