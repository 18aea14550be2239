"""task=rank: any images, or the held-out ones, into a ranking that asks few pairs."""

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
from lmol.workflow.past_model import trained_model
from lmol.workflow.session import seed_everything
from lmol.workflow.tables import table_of_ranking

log = logging.getLogger(__name__)


def run(config: Config, run: RunFolder) -> float | None:
    """Returns the Spearman correlation with the scores, where there are any."""
    require_device(config)
    seed_everything(config)
    past = one_run(config.run)
    run.note(run=str(past.path), checkpoint=config.checkpoint.value)
    images = wanted_images(config, past, run)
    checkpoint = past.checkpoint(config.checkpoint.value)
    model, _ = trained_model(config, past)
    ranker = Ranker(
        model,
        config.ranking,
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
    """The images to rank: those named, or those that the run held out.

    Raises DataError where scored images, whose correlation would be reported, were trained on.
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
    """Numbers of images and pairs, and agreement with the scores where all are known."""
    table = ranked.table
    metrics: Metrics = {"images": len(table), "pairs": len(ranked.comparisons)}
    if "score" not in table:
        return metrics
    scores, strengths = table["score"].to_numpy(), table["strength"].to_numpy()
    estimates = table["estimate"].to_numpy() if "estimate" in table else None
    return metrics | correlation_metrics(scores, strengths, estimates)


def save(run: RunFolder, ranked: RankedImages, images: pd.DataFrame, metrics: Metrics) -> None:
    """Write tables and pictures, and show the ranking."""
    table, plots = ranked.table, run.folder("plots")
    run.write_table("ranking.csv", table)
    run.write_table("comparisons.csv", ranked.comparisons)
    run.write_json("metrics.json", metrics)
    plot_ranked(
        table, dict(zip(images["image"], images["path"], strict=True)), plots / "ranked.png"
    )
    if {"score", "estimate"} <= set(table):
        plot_ranking(table, ranked.slope, plots / "ranking.png")
    repeated = int(images["content"].duplicated().sum())
    if repeated:
        log.info("%d image(s) of the same content as another share its rank", repeated)
    get_console().print(table_of_ranking(table))
    shown = (f"{name} {value:.4f}" for name, value in metrics.items() if isinstance(value, float))
    log.info("%d pairs asked; %s", metrics["pairs"], ", ".join(shown))
