"""Evaluate a trained model on the held-out fold: metrics, ranking, tables and pictures."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lmol.config.schema import Decoding
from lmol.data.data_set import data_hash
from lmol.data.folds import Split
from lmol.evaluation.answers import Floats, confusion_table, predictions_table
from lmol.evaluation.diagnosis import (
    Diagnosis,
    DiagnosisSettings,
    RankedFold,
    diagnose,
    plot_diagnosis,
)
from lmol.evaluation.generation import GeneratingJudge
from lmol.evaluation.judge import Judge, fingerprint
from lmol.evaluation.metric import Shown
from lmol.evaluation.metrics import Metrics, classification_metrics, correlation_metrics, shown_in
from lmol.evaluation.part_file import PartFile
from lmol.evaluation.plots import plot_confusion, plot_overview, plot_ranking
from lmol.evaluation.questions import rows_of
from lmol.evaluation.ranked import Validation, rank_pairs
from lmol.ranking.scale import ScoreScale, ranking_table
from lmol.runs.result_folder import ResultFolder
from lmol.system.distributed import process_index
from lmol.system.progress import progress
from lmol.workflow.session import Session

log = logging.getLogger(__name__)

JUDGED = "judged"
"""The folder of a run that keeps the answers of an unfinished evaluation."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationResult:
    """All results of a held-out fold: tables as in the run folder, and all metrics.

    images: the held-out images. scale: None if they have no scores. step: of the weights. answers:
    the answer cache, to be removed once all else is saved; None if the answers were generated.
    """

    images: pd.DataFrame
    predictions: pd.DataFrame
    ranking: pd.DataFrame
    scale: ScoreScale | None
    metrics: Metrics
    diagnosis: Diagnosis
    step: int
    answers: PartFile | None

    def confusion(self) -> pd.DataFrame:
        """Return the numbers of pairs by label and answer."""
        return confusion_table(self.predictions["label"], self.predictions["pred"])


def evaluate_held_out(
    session: Session, validation: Validation, step: int, run: Path
) -> EvaluationResult:
    """Judge the held-out pairs, which nothing else reads, and rank their images.

    step: of the weights. run: the folder of the run that trained the model, which keeps the answer
    cache.
    """
    images, pairs = session.fold.split.held_out, session.fold.held_out_pairs
    probabilities, metrics, answers = _answers(session, run)
    ties = session.config.ranking.virtual_ties
    ranked = rank_pairs(images["image"], pairs, probabilities, ties)
    scale = None
    if validation.mean_score is not None:
        scale = validation.scale(ties, num_pairs=len(pairs), num_images=len(images))
    estimates = None if scale is None else scale.estimate(ranked.strengths)
    fold = RankedFold(
        pairs=pairs,
        probabilities=probabilities,
        images=images,
        strengths=ranked.strengths,
        estimates=estimates,
    )
    diagnosis = diagnose(fold, _diagnosis_settings(session, validation))
    metrics |= classification_metrics(pairs["label"], probabilities)
    scores = images["score"].to_numpy() if "score" in images else None
    metrics |= correlation_metrics(scores, ranked.strengths, estimates)
    return EvaluationResult(
        images=images,
        predictions=predictions_table(pairs, probabilities),
        ranking=ranking_table(images, ranked, scale),
        scale=scale,
        metrics={**metrics, **diagnosis.metrics},
        diagnosis=diagnosis,
        step=step,
        answers=answers,
    )


def _diagnosis_settings(session: Session, validation: Validation) -> DiagnosisSettings:
    return DiagnosisSettings(
        theta=session.config.data.theta,
        farthest=_farthest_gap(session.fold.split),
        seed=session.seed,
        replicates=session.config.eval.replicates,
        temperature=validation.temperature(),
    )


def _farthest_gap(split: Split) -> float:
    """Return the largest gap of two scores of the data set, in points: the same for all folds."""
    images = pd.concat([split.train, split.validation, split.held_out])
    return float(images["score"].max() - images["score"].min()) if "score" in images else 0.0


def _answers(session: Session, run: Path) -> tuple[Floats, Metrics, PartFile | None]:
    """Return the probabilities (P, 2, 3), the decoding mode's own metrics, and the answer cache."""
    config, model, images = session.config.eval, session.model, session.images
    pairs = session.fold.held_out_pairs
    size, room = config.batch_pairs, config.memory_gb
    with progress("Judging", len(pairs), "pairs") as advance:
        names, first, second = rows_of(pairs)
        if config.decode is Decoding.GENERATE:
            generating = GeneratingJudge(model, names, images, size, memory_gb=room)
            probabilities = generating.compare(first, second, advance)
            return probabilities, {"invalid_answers": generating.invalid_share()}, None
        seal = fingerprint(model, pairs, data_hash(session.fold.split.held_out))
        with PartFile(run / JUDGED, seal, process_index()) as part:
            judge = Judge(model, names, images, size, memory_gb=room)
            return judge.compare(first, second, advance, part), {}, part


def save_result(run: ResultFolder, result: EvaluationResult, seconds: dict[str, float]) -> None:
    """Write tables, metrics and pictures, and log the main numbers."""
    run.write_table("predictions.csv", result.predictions)
    run.write_table("ranking.csv", result.ranking)
    run.write_table("confusion.csv", result.confusion().reset_index())
    for name, table in result.diagnosis.tables.items():
        run.write_table(f"diagnosis/{name}.csv", table)
    plots = run.folder("plots")
    _plot(result, plots)
    metrics: Metrics = {**result.metrics, **seconds}
    run.write_json("metrics.json", metrics)
    size = f"{metrics['pairs']:,} pairs of {metrics['images']:,} images"
    log.info("Held-out fold, %s [95 %% interval over images]:\n%s", size, lines_of(metrics))
    log.info("All metrics:\n  %s\nPictures, the overview first:\n  %s",
             run.path / "metrics.json", plots / "overview.png")  # fmt: skip
    if result.answers is not None:
        result.answers.remove()


def _plot(result: EvaluationResult, folder: Path) -> None:
    confusion, scale = result.confusion(), result.scale
    paths = dict(zip(result.images["image"], result.images["path"], strict=True))
    slope = None if scale is None else scale.slope
    plot_confusion(confusion, folder / "confusion.png")
    if slope is not None:
        plot_ranking(result.ranking, slope, folder / "ranking.png")
    plot_overview(result.ranking, paths, confusion, slope, folder / "overview.png")
    plot_diagnosis(result.diagnosis, paths, folder)


def lines_of(metrics: Metrics) -> str:
    """Return a line for each known metric that a command shows at its end, with its interval."""
    known = [one for one in shown_in(Shown.END) if metrics.get(one.key) is not None]
    shown = {one.name or one.title: _shown(one.key, metrics) for one in known}
    width = max(map(len, shown))
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in shown.items())


def _shown(name: str, metrics: Metrics) -> str:
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    interval = "" if low is None or high is None else f"  [{low:.4f}, {high:.4f}]"
    return f"{metrics[name]:.4f}{interval}"
