"""The built-in example over five folds and several data seeds: accuracy, ranking, time, memory.

    python -m lmol.experiments.bench.folds --data-seeds 42 101 102 --json rows.json

Hyper-parameters were chosen on data seeds 1, 2 and 3; every other seed draws new faces. Runs the
real command, two folds at a time with one thread each.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lmol.experiments.bench.command import peak_gb, run_command

FOLDS = (1, 2, 3, 4, 5)
COLUMNS = ("accuracy", "accuracy_similar", "order_consistency", "pearson", "spearman", "mae")
COSTS = ("train_seconds", "eval_seconds", "peak_gb")


def run_fold(seed: int, fold: int, folder: Path, overrides: list[str]) -> dict[str, Any]:
    """Run one fold of the default; return its metrics, wall seconds and peak memory."""
    target = folder / f"seed_{seed}" / f"fold_{fold}"
    settings = (f"fold={fold}", f"data.source.seed={seed}", "threads=1")
    run_command(*settings, f"hydra.run.dir={target}", *overrides)
    metrics = json.loads((target / "metrics.json").read_text())
    return {"seed": seed, "fold": fold, **metrics, "peak_gb": peak_gb(target)}


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mean, SD and minimum over the folds of every column, by data seed."""
    grouped = rows.groupby("seed")[[*COLUMNS, *COSTS]]
    return pd.DataFrame(grouped.agg(["mean", "std", "min"]).stack(level=0, future_stack=True))


def plot(rows: pd.DataFrame, path: Path) -> None:
    """Draw a panel per metric, with one dot per fold, by data seed."""
    figure = Figure(figsize=(2.2 * len(COLUMNS), 3.2), layout="constrained")
    for axes, column in zip(figure.subplots(1, len(COLUMNS)), COLUMNS, strict=True):
        for place, (_, group) in enumerate(rows.groupby("seed")):
            axes.plot([place] * len(group), group[column], "o", alpha=0.6)
            axes.plot([place - 0.2, place + 0.2], [group[column].mean()] * 2, "k-")
        seeds = [str(seed) for seed in sorted(rows["seed"].unique())]
        axes.set_xticks(range(len(seeds)), seeds)
        axes.set_xlim(-0.6, len(seeds) - 0.4)
        axes.set_title(column)
        axes.set_xlabel("data seed")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Run, print every fold and the summary, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-seeds", type=int, nargs="+", default=[42])
    parser.add_argument("--folds", type=int, nargs="+", default=list(FOLDS))
    parser.add_argument("--folder", type=Path, default=Path("outputs/bench/folds"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("overrides", nargs="*", help="passed on to every run")
    arguments = parser.parse_args()
    jobs = list(product(arguments.data_seeds, arguments.folds))
    with ThreadPoolExecutor(2) as pool:
        folder, overrides = arguments.folder.resolve(), arguments.overrides
        rows = pd.DataFrame(pool.map(lambda job: run_fold(job[0], job[1], folder, overrides), jobs))
    shown = ["seed", "fold", *COLUMNS, *COSTS]
    print(rows[shown].to_string(index=False, float_format="{:.4f}".format))
    print(summary(rows).to_string(float_format="{:.4f}".format))
    plot(rows, arguments.folder / "folds.png")
    if arguments.json:
        arguments.json.write_text(rows[shown].to_json(orient="records", indent=2) + "\n")


if __name__ == "__main__":
    main()
