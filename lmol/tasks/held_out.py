"""What is concluded from a trained comparer: metrics, ranking, tables and pictures of a fold."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmol.config import Config
from lmol.data.preparation import PreparedFold
from lmol.evaluation.judge import judge
from lmol.evaluation.metrics import (
    Metrics,
    average_orders,
    classification_metrics,
    confusion_table,
    correlation_metrics,
    predictions_table,
    win_share,
)
from lmol.evaluation.plots import plot_confusion, plot_overview, plot_ranking
from lmol.model.comparer import Comparer
from lmol.model.features import ImageStore
from lmol.ranking.bradley_terry import BradleyTerryFit, fit_strengths
from lmol.ranking.scale import ScoreScale, matched_ties, ranking_table
from lmol.tracking.progress import progress
from lmol.tracking.run_folder import RunFolder

log = logging.getLogger(__name__)

Probabilities = NDArray[np.float64]

VALIDATED = ("accuracy", "macro_f1", "cross_entropy", "order_consistency", "pearson")
"""Metrics that are recorded at every validation; train.metric is one of them."""


def validation_metrics(
    config: Config, comparer: Comparer, prepared: PreparedFold, images: ImageStore
) -> dict[str, float]:
    """What `best` and early stopping go by; images of the training fold that are not trained on."""
    pairs, validation = prepared.validation_pairs, prepared.split.validation
    probabilities = judge(comparer, pairs, images, config.eval.batch_pairs)
    ranked = rank(validation, pairs, probabilities, config.ranking.virtual_ties)
    scores = validation["score"].to_numpy()
    metrics = classification_metrics(pairs["label"], probabilities)
    metrics |= correlation_metrics(scores, ranked.strengths, ranked.strengths)
    return {name: _known(metrics[name]) for name in VALIDATED}


def _known(value: float | None) -> float:
    """A judge that gives no order has an undefined correlation; it is no better than chance, 0."""
    return 0.0 if value is None else float(value)


@dataclass(frozen=True, kw_only=True, eq=False)
class Conclusion:
    """All results of a held-out fold: tables as in the run folder, and the metrics of both."""

    predictions: pd.DataFrame
    ranking: pd.DataFrame
    scale: ScoreScale
    metrics: Metrics


def judge_held_out(
    config: Config, comparer: Comparer, prepared: PreparedFold, images: ImageStore
) -> Conclusion:
    """Judge the held-out pairs, the one time that they are looked at, and rank their images."""
    held_out, pairs = prepared.split.held_out, prepared.held_out_pairs
    with progress("Judging", len(pairs), "pairs") as advance:
        probabilities = judge(comparer, pairs, images, config.eval.batch_pairs, advance)
    scale = fit_scale(config, comparer, prepared, images)
    ranked = rank(held_out, pairs, probabilities, config.ranking.virtual_ties)
    correlations = correlation_metrics(
        held_out["score"].to_numpy(), ranked.strengths, scale.estimate(ranked.strengths)
    )
    return Conclusion(
        predictions=predictions_table(pairs, probabilities),
        ranking=ranking_table(held_out, ranked, scale),
        scale=scale,
        metrics=classification_metrics(pairs["label"], probabilities) | correlations,
    )


def rank(
    images: pd.DataFrame, pairs: pd.DataFrame, probabilities: Probabilities, virtual_ties: float
) -> BradleyTerryFit:
    """Strengths of a score table's images from judged pairs of them."""
    row = pd.Index(images["image"])
    first, second = row.get_indexer(pairs["img1"]), row.get_indexer(pairs["img2"])
    wins = win_share(average_orders(probabilities))
    return fit_strengths(len(images), first, second, wins, virtual_ties)


def fit_scale(
    config: Config, comparer: Comparer, prepared: PreparedFold, images: ImageStore
) -> ScoreScale:
    """The score scale, from validation images and the training fold's mean score alone."""
    pairs, split = prepared.validation_pairs, prepared.split
    probabilities = judge(comparer, pairs, images, config.eval.batch_pairs)
    ties = matched_ties(
        config.ranking.virtual_ties,
        pairs=len(pairs),
        images=len(split.validation),
        target_pairs=len(prepared.held_out_pairs),
        target_images=len(split.held_out),
    )
    ranked = rank(split.validation, pairs, probabilities, ties)
    known = pd.concat([split.train["score"], split.validation["score"]])
    return ScoreScale.fit(ranked.strengths, split.validation["score"].to_numpy(), known.mean())


def save(
    run: RunFolder, conclusion: Conclusion, held_out: pd.DataFrame, seconds: dict[str, float]
) -> None:
    """Write the tables, the metrics and the pictures of a conclusion, and log its main numbers."""
    confusion = confusion_table(conclusion.predictions["label"], conclusion.predictions["pred"])
    ranking, slope, plots = conclusion.ranking, conclusion.scale.slope, run.folder("plots")
    paths = dict(zip(held_out["image"], held_out["path"], strict=True))
    run.write_table("predictions.csv", conclusion.predictions)
    run.write_table("ranking.csv", ranking)
    run.write_table("confusion.csv", confusion.reset_index())
    plot_confusion(confusion, plots / "confusion.png")
    plot_ranking(ranking, slope, plots / "ranking.png")
    plot_overview(ranking, paths, confusion, slope, plots / "overview.png")
    metrics: Metrics = {**conclusion.metrics, **seconds}
    run.write_json("metrics.json", metrics)
    log.info("Held-out fold:\n%s", _lines(metrics))


def _lines(metrics: Metrics) -> str:
    width = max(map(len, metrics))
    shown = {k: f"{v:.4f}" if isinstance(v, float) else str(v) for k, v in metrics.items()}
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in shown.items())
