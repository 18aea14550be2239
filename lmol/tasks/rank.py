"""task=rank: rank any images, or the held-out ones, by comparing few pairs."""

from __future__ import annotations

import logging
import time

import pandas as pd
from rich import get_console

from lmol.config import Config
from lmol.data.contents import refuse_known
from lmol.data.pictures import passed_over, picture_table
from lmol.evaluation.metrics import Metrics, correlation_metrics
from lmol.evaluation.plots import plot_ranking
from lmol.evaluation.ranked import Validation
from lmol.inference.pictures import plot_ranked
from lmol.inference.ranking import RankedImages, Ranker
from lmol.model.device import require_device
from lmol.model.references import References
from lmol.runs.past_runs import PastRun, one_run
from lmol.runs.run_folder import RunFolder
from lmol.workflow.folds import images_of, same_fold
from lmol.workflow.session import seed_everything, trained_model
from lmol.workflow.tables import table_of_ranking

log = logging.getLogger(__name__)


def run(config: Config, run: RunFolder) -> float | None:
    """Rank the images, and return the Spearman correlation with their scores if they are known."""
    require_device(config)
    seed_everything(config)
    past = one_run(config.run)
    run.note(run=str(past.path), checkpoint=config.checkpoint.value)
    images = wanted_images(config, past, run)
    checkpoint = past.checkpoint(config.checkpoint.value)
    model, _ = trained_model(config, past)
    ranker = Ranker(
        model=model,
        settings=config.ranking,
        judging=config.eval,
        seed=config.seed + past.fold,
        references=References.load(checkpoint),
        validation=Validation.load(checkpoint),
    )
    start = time.monotonic()
    ranked = ranker.rank(images)
    metrics = metrics_of(ranked) | {"eval_seconds": time.monotonic() - start}
    if run.writes:
        save(run, ranked, images, metrics)
    spearman = metrics.get("spearman")
    return None if spearman is None else float(spearman)


def wanted_images(config: Config, past: PastRun, run: RunFolder) -> pd.DataFrame:
    """Return the named images, or else the images that the run held out.

    Raises DataError if named images with scores were trained on: their correlation would be
    reported.
    """
    if config.images is None:
        held_out = same_fold(config, past, run).split.held_out
        return held_out.drop(columns="group", errors="ignore")
    images = picture_table(config.images)
    run.note(images_taken=len(images), images_passed_over=passed_over(images))
    if "score" in images and not config.fold.allow_duplicates:
        before = images_of(past)
        known = before[before["part"] != "held_out"]
        refuse_known(images, known, "images", "take them out, or rank without the column score")
    return images


def metrics_of(ranked: RankedImages) -> Metrics:
    """Return the numbers of images and pairs, and agreement with the scores if they are known."""
    table = ranked.table
    scores, estimates = (
        table[name].to_numpy() if name in table else None for name in ("score", "estimate")
    )
    found = correlation_metrics(scores, table["strength"].to_numpy(), estimates)
    return {"images": len(table), "pairs": len(ranked.comparisons)} | found


def save(run: RunFolder, ranked: RankedImages, images: pd.DataFrame, metrics: Metrics) -> None:
    """Write tables and pictures, and show the ranking."""
    table, plots = ranked.table, run.folder("plots")
    run.write_table("ranking.csv", table)
    run.write_table("comparisons.csv", ranked.comparisons)
    run.write_json("metrics.json", metrics)
    paths = dict(zip(images["image"], images["path"], strict=True))
    plot_ranked(table, paths, plots / "ranked.png")
    if {"score", "estimate"} <= set(table):
        plot_ranking(table, ranked.slope, plots / "ranking.png")
    repeated = int(images["content"].duplicated().sum())
    if repeated:
        log.info("%d image(s) of the same content as another share its rank", repeated)
    get_console().print(table_of_ranking(table))
    shown = (f"{name} {value:.4f}" for name, value in metrics.items() if isinstance(value, float))
    log.info("%d pairs asked; %s", metrics["pairs"], ", ".join(shown))
