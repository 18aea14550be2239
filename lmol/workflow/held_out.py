"""Evaluate a trained model on a fold: metrics, ranking, tables and pictures."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmol.config import Config
from lmol.config.schema import Decoding
from lmol.data.folds import Split, data_hash
from lmol.data.preparation import PreparedFold
from lmol.evaluation.diagnosis import Diagnosis, diagnose, plot_diagnosis
from lmol.evaluation.generation import GeneratingJudge
from lmol.evaluation.judge import fingerprint, judge
from lmol.evaluation.metrics import (
    Metrics,
    classification_metrics,
    confusion_table,
    correlation_metrics,
    predictions_table,
)
from lmol.evaluation.part_file import PartFile
from lmol.evaluation.plots import plot_confusion, plot_overview, plot_ranking
from lmol.evaluation.questions import rows_of
from lmol.evaluation.ranked import Validation, rank_pairs
from lmol.model.features import ImageStore
from lmol.model.pair_model import PairModel
from lmol.ranking.scale import ScoreScale, ranking_table
from lmol.runs.result_folder import ResultFolder
from lmol.system.distributed import process_index
from lmol.system.progress import progress
from lmol.training.comparable import comparable_cross_entropy
from lmol.verdict import Verdict

log = logging.getLogger(__name__)

Probabilities = NDArray[np.float64]

JUDGED = "judged"
"""The folder of a run in which the answers of an evaluation under way are kept."""

SHOWN = {
    "accuracy": "accuracy",
    "accuracy_similar": "recall of Similar",
    "order_consistency": "order consistency",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "mae": "mean absolute error",
}
"""The metrics that a command shows at its end, with their titles; metrics.json has all."""

VALIDATED = ("accuracy", "macro_f1", "cross_entropy", "order_consistency", "pearson")
"""Metrics that are recorded at every validation; train.metric is one of them."""

BY_CLASS = tuple(f"accuracy_{verdict.name.lower()}" for verdict in Verdict)
"""Recorded too, of the classes that validation pairs have."""


def validation_metrics(
    config: Config, model: PairModel, prepared: PreparedFold, images: ImageStore
) -> dict[str, float]:
    """What `best` and early stopping go by; images of the training fold that are not trained on."""
    pairs, validation = prepared.validation_pairs, prepared.split.validation
    probabilities = ask_validation(config, model, pairs, images)
    ties = config.ranking.virtual_ties
    ranked = rank_pairs(validation["image"], pairs, probabilities, ties)
    scores = validation["score"].to_numpy()
    metrics = classification_metrics(pairs["label"], probabilities)
    metrics |= correlation_metrics(scores, ranked.strengths, ranked.strengths)
    by_class = {name: value for name in BY_CLASS if (value := metrics[name]) is not None}
    comparable = comparable_cross_entropy(
        probabilities, pairs, prepared.training_pairs, config.train.loss
    )
    known = {name: _known(metrics[name]) for name in VALIDATED}
    return known | by_class | {"comparable_cross_entropy": comparable}


def ask_validation(
    config: Config, model: PairModel, pairs: pd.DataFrame, images: ImageStore
) -> Probabilities:
    """Probabilities (P, 2, 3) of validation pairs, without a bar of its own."""
    room = config.eval.memory_gb
    return judge(model, pairs, images, config.eval.batch_pairs, memory_gb=room)


def _known(value: float | None) -> float:
    """A judge that gives no order has an undefined correlation; it is no better than chance, 0."""
    return 0.0 if value is None else float(value)


@dataclass(frozen=True, kw_only=True, eq=False)
class Conclusion:
    """All results of a held-out fold: tables as in the run folder, and the metrics of all.

    part: the answers on disk, which may go once the rest is saved; None where they were generated.
    """

    predictions: pd.DataFrame
    ranking: pd.DataFrame
    scale: ScoreScale
    metrics: Metrics
    diagnosis: Diagnosis
    part: PartFile | None


def judge_held_out(
    config: Config,
    model: PairModel,
    prepared: PreparedFold,
    images: ImageStore,
    validation: Validation,
    run: Path,
) -> Conclusion:
    """Judge the held-out pairs, the one time that they are looked at, and rank their images.

    run: the folder of the run that trained the model, where the answers are kept meanwhile.
    """
    held_out, pairs = prepared.split.held_out, prepared.held_out_pairs
    probabilities, metrics, part = _answers(config, model, prepared, images, run)
    ties = config.ranking.virtual_ties
    scale = validation.scale(ties, num_pairs=len(pairs), num_images=len(held_out))
    ranked = rank_pairs(held_out["image"], pairs, probabilities, ties)
    estimates = scale.estimate(ranked.strengths)
    diagnosis = diagnose(
        pairs,
        probabilities,
        held_out,
        ranked.strengths,
        estimates,
        theta=config.data.theta,
        farthest=farthest_gap(prepared.split),
        validation_labels=validation.pairs["label"],
        validation_probabilities=validation.probabilities,
        seed=config.seed + prepared.split.fold,
        replicates=config.eval.replicates,
    )
    metrics |= classification_metrics(pairs["label"], probabilities)
    metrics |= correlation_metrics(held_out["score"].to_numpy(), ranked.strengths, estimates)
    return Conclusion(
        predictions=predictions_table(pairs, probabilities),
        ranking=ranking_table(held_out, ranked, scale),
        scale=scale,
        metrics={**metrics, **diagnosis.metrics},
        diagnosis=diagnosis,
        part=part,
    )


def farthest_gap(split: Split) -> float:
    """The largest gap of two scores of the data set, in points; the same for all of its folds."""
    parts = (split.train, split.validation, split.held_out)
    scores = pd.concat([part["score"] for part in parts])
    return float(scores.max() - scores.min())


def judge_validation(
    config: Config, model: PairModel, prepared: PreparedFold, images: ImageStore
) -> Validation:
    """The answers that score scale and temperature are fitted to."""
    split, pairs = prepared.split, prepared.validation_pairs
    known = pd.concat([split.train["score"], split.validation["score"]])
    return Validation(
        pairs=pairs,
        probabilities=ask_validation(config, model, pairs, images),
        mean_score=float(known.mean()),
    )


def _answers(
    config: Config, model: PairModel, prepared: PreparedFold, images: ImageStore, run: Path
) -> tuple[Probabilities, Metrics, PartFile | None]:
    """Probabilities (P, 2, 3) of the held-out pairs, and what the way of asking alone tells."""
    pairs, size, room = prepared.held_out_pairs, config.eval.batch_pairs, config.eval.memory_gb
    with progress("Judging", len(pairs), "pairs") as advance:
        if config.eval.decode is Decoding.GENERATE:
            names, first, second = rows_of(pairs)
            generating = GeneratingJudge(model, names, images, size, memory_gb=room)
            probabilities = generating.compare(first, second, advance)
            return probabilities, {"invalid_answers": generating.invalid_share()}, None
        seal = fingerprint(model, pairs, data_hash(prepared.split.held_out))
        with PartFile(run / JUDGED, seal, process_index()) as part:
            return judge(model, pairs, images, size, advance, part, room), {}, part


def save(
    run: ResultFolder, conclusion: Conclusion, held_out: pd.DataFrame, seconds: dict[str, float]
) -> None:
    """Write the tables, the metrics and the pictures of a conclusion, and log its main numbers."""
    confusion = confusion_table(conclusion.predictions["label"], conclusion.predictions["pred"])
    ranking, slope, plots = conclusion.ranking, conclusion.scale.slope, run.folder("plots")
    paths = dict(zip(held_out["image"], held_out["path"], strict=True))
    run.write_table("predictions.csv", conclusion.predictions)
    run.write_table("ranking.csv", ranking)
    run.write_table("confusion.csv", confusion.reset_index())
    for name, table in conclusion.diagnosis.tables.items():
        run.write_table(f"diagnosis/{name}.csv", table)
    plot_confusion(confusion, plots / "confusion.png")
    plot_ranking(ranking, slope, plots / "ranking.png")
    plot_overview(ranking, paths, confusion, slope, plots / "overview.png")
    plot_diagnosis(conclusion.diagnosis, paths, plots)
    metrics: Metrics = {**conclusion.metrics, **seconds}
    run.write_json("metrics.json", metrics)
    log.info("Held-out fold, %s:\n%s", size_of(metrics), lines_of(metrics))
    log.info("All metrics:\n  %s\nPictures, the overview first:\n  %s",
             run.path / "metrics.json", plots / "overview.png")  # fmt: skip
    if conclusion.part is not None:
        conclusion.part.remove()


def size_of(metrics: Metrics) -> str:
    """The numbers of pairs and images, and what the brackets in lines_of hold."""
    return f"{metrics['pairs']:,} pairs of {metrics['images']:,} images [95 % interval over images]"


def lines_of(metrics: Metrics) -> str:
    """A line for each metric of SHOWN that is known, with its interval where there is one."""
    names = [name for name in SHOWN if metrics.get(name) is not None]
    width = max(map(len, SHOWN.values()))
    return "\n".join(f"  {SHOWN[name]:<{width}}  {_shown(name, metrics)}" for name in names)


def _shown(name: str, metrics: Metrics) -> str:
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    interval = "" if low is None or high is None else f"  [{low:.4f}, {high:.4f}]"
    return f"{metrics[name]:.4f}{interval}"
