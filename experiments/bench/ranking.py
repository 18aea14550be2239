"""Rankings from few comparisons: agreement with all pairs, seconds of the fit, standard errors.

    python -m lmol.experiments.bench.ranking --json rows.json
    python -m lmol.experiments.bench.ranking --predictions outputs/.../predictions.csv

The simulated judges compare 1,100 images, the number that a fold of SCUT-FBP5500 holds out.
`--predictions` adds a judge whose answers are those of a run in which all pairs were judged.
n images.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import expit
from scipy.stats import spearmanr

from lmol.experiments.bench.ranking_judges import Judge, judge_of_run, simulated_judge
from lmol.experiments.bench.report import Row, add_options, save
from lmol.ranking.bradley_terry import Floats, Indices, centred_strengths, fit_strengths
from lmol.ranking.pairing import (
    AdaptivePairs,
    AllPairs,
    Comparisons,
    Pairing,
    RandomPairs,
    ReferencePairs,
    spread_references,
)

VIRTUAL_TIES = 1.0

PER_IMAGE = (4, 6, 10, 15, 21, 32, 64)
"""Comparisons per image; 21 are 1.9 % of the pairs of 1,100 images."""

STABLE = (0.98, 0.99, 0.995)
REFERENCES = (2, 5, 10, 20, 50)

FIT_PER_IMAGE, FIT_REPEATS = 40, 3

DESIGNS = ((200, 20), (200, 40), (200, 199), (1100, 20), (1100, 40))
"""Numbers of images and of comparisons per image, for recovery and coverage."""

GOAL_PERCENT, GOAL_SPEARMAN = 2.0, 0.993
SHOWN_PERCENT = (0.2, 0.5, 1, 2, 5, 10, 20, 50)
SHOWN_SPEARMAN = (0.9, 0.95, 0.98, 0.99, 0.993, 0.995, 0.998, 0.999, 0.9995, 0.9998)


def pairing_rows(judge: Judge, seed: int) -> Iterator[Row]:
    """Yield a row per pairing: its agreement with the judge's ranking from all pairs."""
    num, rng = judge.scores.size, np.random.default_rng(seed)
    everything = _strengths(num, AllPairs().compare(num, judge, rng))
    for name, setting, pairing in _pairings(num):
        asked = pairing.compare(num, judge, rng)
        named = {"judge": judge.name, "pairing": name, "setting": setting}
        yield named | _agreement(judge, asked, everything, np.arange(num))
    for num_references in REFERENCES:
        named = {"judge": judge.name, "pairing": "references", "setting": str(num_references)}
        yield named | _with_references(judge, num_references, everything, rng)


def _pairings(num: int) -> Iterator[tuple[str, str, Pairing]]:
    for k in PER_IMAGE:
        yield "random", f"{k} an image", RandomPairs(pairs_per_image=k)
    for k in PER_IMAGE:
        yield "adaptive", f"{k} an image", _adaptive(k, 1.0)
    for stable in STABLE:
        yield "adaptive until stable", f"stable {stable}", _adaptive(num, stable)


def _adaptive(per_image: int, stable: float) -> AdaptivePairs:
    return AdaptivePairs(pairs_per_image=per_image, stable=stable, virtual_ties=VIRTUAL_TIES)


def _with_references(
    judge: Judge, num_references: int, everything: Floats, rng: np.random.Generator
) -> Row:
    """Return the row of references among the judge's images; only the other images are ranked."""
    taken = spread_references(judge.scores, num_references)
    images = np.setdiff1d(np.arange(judge.scores.size), taken)
    row = np.concatenate([images, taken])
    asked = ReferencePairs(num_references=num_references).compare(
        row.size, lambda first, second: judge(row[first], row[second]), rng
    )
    return _agreement(judge, asked, everything, images)


def _strengths(num: int, asked: Comparisons) -> Floats:
    return centred_strengths(num, asked.first, asked.second, asked.win_share, VIRTUAL_TIES)


def _agreement(judge: Judge, asked: Comparisons, everything: Floats, images: Indices) -> Row:
    """Compare the fit of `asked`, whose first rows are `images`, with all pairs and the scores."""
    num = judge.scores.size
    fitted, best, scores = (
        _strengths(num, asked)[: images.size],
        everything[images],
        judge.scores[images],
    )
    return {
        "percent": 100 * asked.first.size / (num * (num - 1) / 2),
        "an_image": 2 * asked.first.size / num,
        "spearman": float(spearmanr(fitted, best).statistic),
        "pearson": float(np.corrcoef(fitted, scores)[0, 1]),
        "pearson_all_pairs": float(np.corrcoef(best, scores)[0, 1]),
    }


def votes(num: int, per_image: int, rng: np.random.Generator) -> tuple[Comparisons, Floats]:
    """Return random pairs with answers 0 or 1 of a Bradley-Terry model, and its strengths."""
    truth = rng.normal(size=num)
    truth -= truth.mean()

    def ask(first: Indices, second: Indices) -> Floats:
        return (rng.uniform(size=first.size) < expit(truth[first] - truth[second])).astype(float)

    return RandomPairs(pairs_per_image=per_image).compare(num, ask, rng), truth


def time_row(num: int, per_image: int) -> Row:
    """Return the seconds of one fit with standard errors: wall time, and CPU time."""
    asked, _ = votes(num, per_image, np.random.default_rng(0))
    clock, process = time.perf_counter(), time.process_time()
    fit_strengths(num, asked.first, asked.second, asked.win_share, VIRTUAL_TIES)
    return {
        "images": num,
        "comparisons": asked.first.size,
        "wall_s": time.perf_counter() - clock,
        "process_s": time.process_time() - process,
    }


def recovery_row(num: int, per_image: int, runs: int) -> Row:
    """Compare known strengths (SD 1 logit) with fitted ones and their nominal 95 % intervals."""
    rng = np.random.default_rng(0)
    results = np.mean([_recovered(num, per_image, rng) for _ in range(runs)], axis=0)
    names = ("correlation", "rmse", "standard_error", "coverage")
    means = dict(zip(names, results.tolist(), strict=True))
    return {"images": num, "an_image": per_image, "runs": runs, **means}


def _recovered(
    num: int, per_image: int, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Return correlation, RMSE, root mean square standard error and coverage of one simulation."""
    asked, truth = votes(num, per_image, rng)
    fit = fit_strengths(num, asked.first, asked.second, asked.win_share, VIRTUAL_TIES)
    error = fit.strengths - truth
    return (
        float(np.corrcoef(fit.strengths, truth)[0, 1]),
        float(np.sqrt(np.mean(error**2))),
        float(np.sqrt(np.mean(fit.standard_errors**2))),
        float(np.mean(np.abs(error) < 1.96 * fit.standard_errors)),
    )


def over_seeds(rows: Sequence[Row]) -> pd.DataFrame:
    """Return the mean of every column over the seeds of a pairing, and the worst Spearman."""
    grouped = pd.DataFrame(rows).groupby(["judge", "pairing", "setting"], sort=False)
    means = grouped.mean()
    means.insert(3, "worst", grouped["spearman"].min())
    return means.reset_index()


def plot(table: pd.DataFrame) -> Figure:
    """Return a figure with one panel per judge and one curve per pairing."""
    judges = list(table.groupby("judge", sort=False))
    figure = Figure(figsize=(6.4 * len(judges), 4.8), layout="constrained")
    panels = figure.subplots(1, len(judges), squeeze=False)[0]
    for axes, (judge, curves) in zip(panels, judges, strict=True):
        _draw_curves(axes, curves)
        axes.set_title(f"judge: {judge}")
    return figure


def _draw_curves(axes: Axes, table: pd.DataFrame) -> None:
    """Draw the distance to 1 on a log axis; otherwise the curves could not be distinguished."""
    for marker, (name, curve) in zip("osDv", table.groupby("pairing", sort=False), strict=True):
        line = "" if "until" in str(name) else "-"
        axes.plot(curve["percent"], 1 - curve["spearman"], f"{line}{marker}", label=str(name))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.invert_yaxis()
    axes.minorticks_off()
    limits = {"xlim": axes.get_xlim(), "ylim": axes.get_ylim()}
    axes.set_xticks(SHOWN_PERCENT, [f"{percent:g}" for percent in SHOWN_PERCENT])
    axes.set_yticks([1 - value for value in SHOWN_SPEARMAN], [f"{v:g}" for v in SHOWN_SPEARMAN])
    axes.set(**limits, xlabel="pairs asked, % of all", ylabel="Spearman with the ranking of all")
    axes.axvline(GOAL_PERCENT, color="grey", linestyle=":")
    axes.axhline(1 - GOAL_SPEARMAN, color="grey", linestyle=":", label="goal of adaptive")
    axes.legend(frameon=False)


def tables(arguments: argparse.Namespace) -> dict[str, pd.DataFrame]:
    """Measure everything; return the tables by name."""
    seeds = range(arguments.seeds)
    asked = [row for s in seeds for row in pairing_rows(simulated_judge(arguments.images, s), s)]
    if arguments.predictions:
        run = judge_of_run(arguments.predictions)
        asked += [row for seed in seeds for row in pairing_rows(run, seed)]
    fits = [time_row(arguments.fit_images, FIT_PER_IMAGE) for _ in range(FIT_REPEATS)]
    recovered = [recovery_row(*design, arguments.runs) for design in DESIGNS]
    return {
        "pairing": over_seeds(asked),
        "fit": pd.DataFrame(fits),
        "recovery": pd.DataFrame(recovered),
    }


def main() -> None:
    """Measure; print the tables, draw the first, and save the rows of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "ranking")
    parser.add_argument("--predictions", type=Path, help="file of a run that judged all pairs")
    parser.add_argument("--images", type=int, default=1100, help="that a simulated judge compares")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=20, help="simulations of each recovery design")
    parser.add_argument("--fit-images", type=int, default=5500)
    arguments = parser.parse_args()
    rows, found = [], tables(arguments)
    for name, table in found.items():
        print(f"{name}\n{table.to_string(index=False, float_format='{:.4f}'.format)}\n")
        rows += [{"table": name, **row} for row in table.to_dict("records")]
    save(rows, plot(found["pairing"]), arguments)


if __name__ == "__main__":
    main()
