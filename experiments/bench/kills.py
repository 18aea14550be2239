"""Runs that are killed at random moments and continued, compared with one that is not killed.

    python -m lmol.experiments.bench.kills [--times 25] [--a-run 5] [--json PATH] [OVERRIDES]

The real command, of the built-in example and of a sweep over two of its folds with joblib, is ended
by SIGKILL with all of its processes, at a random moment in the first half of its duration, and
repeated; as it goes on from its last state, the kills fall into all parts of a run. A row compares
one run that was killed --a-run times with the whole one, bit for bit.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lmol.experiments.bench.report import Row, add_options, report
from lmol.experiments.bench.results import differing
from lmol.system.files import read_mapping

LONGEST = 0.5
"""Longest life of a process, as a share of the duration of a run that is not killed."""

ONE_THREAD = "threads=1"
"""Sums of floating-point numbers depend on the number of threads."""


@dataclass(frozen=True, kw_only=True)
class Killed:
    """A command that continues what an earlier process of it began.

    runs: pattern of the run folders to compare, below its working directory. num_runs: their
    number.
    """

    name: str
    arguments: Sequence[str]
    runs: str
    num_runs: int

    def finished(self, folder: Path) -> list[Path]:
        """Return the finished runs, in the order of their names."""
        runs = sorted(path.parent for path in folder.glob(f"{self.runs}/manifest.json"))
        return [run for run in runs if read_mapping(run / "manifest.json").get("status") == "done"]


def commands(overrides: Sequence[str]) -> list[Killed]:
    """Return the commands of the campaign."""
    shared = [*overrides, ONE_THREAD, "data.root=../faces", "tracking=off"]
    folds = ["-m", "fold=1,2", "+launcher=joblib", "hydra.sweep.dir=sweep"]
    return [
        Killed(name="one run", arguments=["resume=auto", *shared], runs="outputs/*/*", num_runs=1),
        Killed(
            name="sweep of two folds", arguments=[*folds, *shared], runs="sweep/fold_*", num_runs=2
        ),
    ]


def start(arguments: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start the command in a process group of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    log = (folder / "output.txt").open("ab")
    command = [sys.executable, "-m", "lmol.run", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)


def whole_run(killed: Killed, folder: Path) -> float:
    """Run the command without killing it; return its wall seconds."""
    begun = time.monotonic()
    require_success(start(killed.arguments, folder).wait(), folder)
    return time.monotonic() - begun


def require_success(code: int, folder: Path) -> None:
    """Raise RuntimeError, with the end of the output, if a command failed."""
    if code:
        raise RuntimeError(f"exit code {code}:\n{(folder / 'output.txt').read_text()[-2000:]}")


def killed_run(killed: Killed, folder: Path, moments: Sequence[float]) -> tuple[int, float]:
    """Kill the command after each number of seconds, then let it end.

    Returns how often it was killed, for it may end earlier, and the wall seconds of all processes.
    """
    begun, kills = time.monotonic(), 0
    for moment in moments:
        process = start(killed.arguments, folder)
        try:
            require_success(process.wait(timeout=moment), folder)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        if len(killed.finished(folder)) == killed.num_runs:  # another process would begin a new run
            break
    else:
        whole_run(killed, folder)
    return kills, time.monotonic() - begun


def campaign(killed: Killed, folder: Path, times: int, a_run: int, seed: int) -> list[Row]:
    """Return a row for each killed run, until there were `times` kills."""
    chance = random.Random(seed)
    seconds = whole_run(killed, folder / "whole")
    rows: list[Row] = []
    done = 0
    while done < times:
        name = f"killed_{len(rows) + 1}"
        number = min(a_run, times - done)
        moments = [chance.uniform(0, LONGEST * seconds) for _ in range(number)]
        kills, wall = killed_run(killed, folder / name, moments)
        both = zip(killed.finished(folder / "whole"), killed.finished(folder / name), strict=True)
        found = [file for one, other in both for file in differing(one, other)]
        done += kills
        rows.append(
            {
                "way": f"{killed.name}, {len(rows) + 1}",
                "kills": kills,
                "equal": not found,
                "differing": ", ".join(found[:5]),
                "wall_s": wall,
                "whole_s": seconds,
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Kill and compare; print one row for each killed run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=25, help="kills of either command")
    parser.add_argument("--a-run", type=int, default=5, help="most kills of one run")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    names = [one.name for one in commands([])]
    parser.add_argument("--only", choices=names, help="one of the two commands")
    add_options(parser, "kills")
    parser.add_argument("overrides", nargs="*", help="passed on to every command")
    arguments = parser.parse_args()
    rows: list[Row] = []
    with TemporaryDirectory() as folder:
        for one in commands(arguments.overrides):
            if arguments.only in (None, one.name):
                place = Path(folder) / one.name.replace(" ", "_")
                rows += campaign(one, place, arguments.times, arguments.a_run, arguments.seed)
    report(rows, arguments, "way", ["kills", "equal", "wall_s", "whole_s"])


if __name__ == "__main__":
    main()
