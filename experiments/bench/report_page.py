"""Seconds and megabytes of the report on many runs.

    python -m lmol.experiments.bench.report_page --run outputs/.../... --json rows.json

Copies one finished run as five recipes of five folds, makes their page with the real command, and
times it from start to exit. The copies have different folds and names but the same data, so that
the page has all its parts.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import yaml

from lmol.experiments.bench.command import run_command
from lmol.experiments.bench.report import Row, add_options, report

FOLDS = (1, 2, 3, 4, 5)
MOST_SECONDS, MOST_MB = 10.0, 10.0
LEFT_BEHIND = shutil.ignore_patterns("checkpoints", "pairs", "wandb")


def copy_runs(run: Path, folder: Path, recipes: int) -> list[Path]:
    """Return sweep folders of copies; their accuracies differ slightly, for scatter."""
    for recipe, fold in product(range(recipes), FOLDS):
        copy = folder / f"recipe_{recipe}" / f"fold_{fold}"
        shutil.copytree(run, copy, ignore=LEFT_BEHIND)
        name = f"recipe_{recipe}"
        _rewrite_json(copy / "manifest.json", {"name": name, "fold": fold, "split_hash": fold})
        config = yaml.safe_load((copy / "config.yaml").read_text())
        config["name"], config["fold"]["index"] = name, fold
        config["optim"]["lr_lora"] *= 1 + recipe
        (copy / "config.yaml").write_text(yaml.safe_dump(config))
        metrics = json.loads((copy / "metrics.json").read_text())
        moved = 0.01 * recipe + 0.002 * ((fold * (recipe + 2)) % 5)
        _rewrite_json(copy / "metrics.json", {"accuracy": metrics["accuracy"] - moved})
    return sorted(folder.glob("recipe_*"))


def _rewrite_json(path: Path, changes: Row) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def measure(sweeps: list[Path], folder: Path, repeats: int) -> Iterator[Row]:
    """Yield a row for one run, one sweep, and all sweeps: the fastest of the repeats."""
    one = [sweeps[0] / "fold_1"]
    for what, chosen in (("1 run", one), ("5 runs", sweeps[:1]), ("25 runs", sweeps)):
        page = folder / "page.html"
        command = ("task=report", f"report.page={page}", f"runs={','.join(map(str, chosen))}")
        seconds = min(run_command(*command, cwd=folder) for _ in range(repeats))
        yield {"runs": what, "seconds": seconds, "MB": page.stat().st_size / 1e6}


def main() -> None:
    """Measure and report; fail if the page of 25 runs is too slow or too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="a finished run to copy")
    parser.add_argument("--repeats", type=int, default=3)
    add_options(parser, "report_page")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sweeps = copy_runs(arguments.run, Path(folder), len(FOLDS))
        rows = list(measure(sweeps, Path(folder), arguments.repeats))
    report(rows, arguments, "runs", ["seconds", "MB"])
    if rows[-1]["seconds"] > MOST_SECONDS or rows[-1]["MB"] > MOST_MB:
        raise SystemExit(f"above {MOST_SECONDS:g} s or {MOST_MB:g} MB")


if __name__ == "__main__":
    main()
