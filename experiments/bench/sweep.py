"""Five folds with the joblib launcher on two cores against one after the other.

    python -m lmol.experiments.bench.sweep [--full] [--json PATH]

Runs the real command; also measured is what a sweep takes outside of its jobs, and the memory that
its process holds after them. Without --full the jobs are small: 240 faces, 4,000 pairs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from lmol.experiments.bench.report import Row, add_options, report

SMALL = ("data.source.num_images=240", "data.schedule.num_pairs=4000")
FOLDS = "fold=1,2,3,4,5"
WAYS = {
    "sequential, one thread": ("threads=1",),
    "sequential, all cores": (),
    "joblib, 2 processes": ("+launcher=joblib", "hydra.launcher.n_jobs=2"),
}


def sweep(way: str, overrides: list[str], folder: Path) -> Row:
    """One sweep of five folds. Seconds are of the whole command, its start included."""
    target = folder / way.replace(", ", "_").replace(" ", "_")
    command = [sys.executable, "-m", "lmol.run", "-m", FOLDS, *WAYS[way], *overrides]
    start = time.perf_counter()
    subprocess.run([*command, f"hydra.sweep.dir={target}"], check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - start
    found = json.loads((target / "sweep.json").read_text())
    jobs = found["jobs"]
    after = [job["rss_after_bytes"] / 1e9 for job in jobs]
    outside = wall - found["seconds"] + found["seconds_outside_jobs"]
    return {
        "way": way,
        "wall_s": wall,
        "mean_job_s": found["seconds_of_jobs"] / len(jobs),
        "outside_s": outside,
        "rss_after_first_gb": after[0],
        "rss_after_last_gb": after[-1],
    }


def measure(overrides: list[str], folder: Path) -> list[Row]:
    """A row a way; ratios: wall seconds by half of those of the slower or faster sequential."""
    rows = [sweep(way, overrides, folder) for way in WAYS]
    sequential = [row["wall_s"] for row in rows if row["way"].startswith("sequential")]
    return [
        row
        | {"ratio_to_slower": row["wall_s"] / (max(sequential) / 2)}
        | {"ratio_to_faster": row["wall_s"] / (min(sequential) / 2)}
        for row in rows
    ]


def main() -> None:
    """Print a row a way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the default as it is, some 12 minutes")
    add_options(parser, "sweep")
    parser.add_argument("overrides", nargs="*", help="passed on to every sweep")
    arguments = parser.parse_args()
    overrides = [*(() if arguments.full else SMALL), *arguments.overrides]
    with TemporaryDirectory() as folder:
        faces = f"data.root={folder}/faces"
        draw = [sys.executable, "-m", "lmol.run", "task=prepare", faces, *overrides]
        where = f"hydra.run.dir={folder}/prepared"
        subprocess.run([*draw, where], check=True, stdout=subprocess.DEVNULL)
        rows = measure([faces, *overrides], Path(folder))
    report(rows, arguments, "way", ["wall_s", "outside_s", "ratio_to_slower"])


if __name__ == "__main__":
    main()
