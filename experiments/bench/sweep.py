"""Wall seconds of five folds: two processes of the joblib launcher against sequential jobs.

    python -m lmol.experiments.bench.sweep [--full] [--json PATH]

Runs the real command; also measures the seconds of a sweep outside its jobs, and the memory of its
process after each job. Without --full the jobs are small: 240 faces, 4,000 pairs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from lmol.experiments.bench.command import run_command
from lmol.experiments.bench.report import Row, add_options, report

SMALL = ("data.source.num_images=240", "data.schedule.num_pairs=4000")
FOLDS = "fold=1,2,3,4,5"
WAYS = {
    "sequential, one thread": ("threads=1",),
    "sequential, all cores": (),
    "joblib, 2 processes": ("+launcher=joblib", "hydra.launcher.n_jobs=2"),
}


def sweep(way: str, overrides: list[str], folder: Path) -> Row:
    """Return the row of one sweep of five folds; wall_s is that of the whole command."""
    target = folder / way.replace(", ", "_").replace(" ", "_")
    wall = run_command("-m", FOLDS, *WAYS[way], *overrides, f"hydra.sweep.dir={target}")
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
    """Return a row per way; ratios: wall seconds / half those of the slower, faster sequential."""
    rows = [sweep(way, overrides, folder) for way in WAYS]
    sequential = [row["wall_s"] for row in rows if row["way"].startswith("sequential")]
    return [
        row
        | {"ratio_to_slower": row["wall_s"] / (max(sequential) / 2)}
        | {"ratio_to_faster": row["wall_s"] / (min(sequential) / 2)}
        for row in rows
    ]


def main() -> None:
    """Draw the faces once, then measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the default itself, about 12 minutes")
    add_options(parser, "sweep")
    parser.add_argument("overrides", nargs="*", help="passed on to every sweep")
    arguments = parser.parse_args()
    overrides = [*(() if arguments.full else SMALL), *arguments.overrides]
    with TemporaryDirectory() as folder:
        faces = f"data.root={folder}/faces"
        run_command("task=prepare", faces, *overrides, f"hydra.run.dir={folder}/prepared")
        rows = measure([faces, *overrides], Path(folder))
    report(rows, arguments, "way", ["wall_s", "outside_s", "ratio_to_slower"])


if __name__ == "__main__":
    main()
