"""The diagnosis of a judged and ranked set of images: its metrics, tables and pictures together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lmol.evaluation.answers import Floats, average_orders, predictions_table
from lmol.evaluation.calibration import (
    expected_calibration_error,
    reliability_table,
    with_temperature,
)
from lmol.evaluation.diagnostic_plots import plot_accuracy_by_gap, plot_reliability, plot_subgroups
from lmol.evaluation.gaps import accuracy_by_gap
from lmol.evaluation.hardest_pairs import hardest_pairs, plot_hardest_pairs
from lmol.evaluation.intervals import ImageBootstrap, interval
from lmol.evaluation.judged import JudgedPairs
from lmol.evaluation.metrics import Metrics
from lmol.evaluation.subgroups import NO_GROUPS, Subgroups, group_names
from lmol.evaluation.transitivity import triple_metrics

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True, kw_only=True, eq=False)
class Diagnosis:
    """Metrics and tables of a diagnosis. metrics: flat, for metrics.json; tables: by CSV name.

    The tables are reliability and hardest_pairs; with scores also accuracy_by_gap, with a
    temperature reliability_calibrated, and with groups of images subgroups.
    """

    metrics: Metrics
    tables: Tables


@dataclass(frozen=True, kw_only=True, eq=False)
class RankedFold:
    """Judged pairs and the ranking of their images.

    pairs: P pairs, with probabilities (P, 2, 3). images: a table of n rows; strengths and estimates
    have shape (n,) in its order, and estimates may be None.
    """

    pairs: pd.DataFrame
    probabilities: Floats
    images: pd.DataFrame
    strengths: Floats
    estimates: Floats | None = None


@dataclass(frozen=True, kw_only=True)
class DiagnosisSettings:
    """Settings of a diagnosis. theta, farthest (largest gap of the data set): points of score.

    replicates: number of resamples of the images, drawn with `seed`. temperature: fitted to
    validation pairs, None for no calibration.
    """

    theta: float
    seed: int
    replicates: int
    farthest: float = 0.0
    temperature: float | None = None


def diagnose(fold: RankedFold, settings: DiagnosisSettings) -> Diagnosis:
    """Diagnose a fold: intervals of its metrics, calibration, cyclic triples and weak places."""
    judged = JudgedPairs.of(fold.pairs, fold.probabilities, fold.images["image"])
    bootstrap = ImageBootstrap(len(fold.images), settings.replicates, settings.seed)
    calibration, reliability = _calibration(judged, fold.probabilities, settings.temperature)
    subgroups, by_group = _subgroups(judged, fold, bootstrap)
    predictions = predictions_table(fold.pairs, fold.probabilities)
    tables = {"hardest_pairs": hardest_pairs(predictions, fold.pairs)}
    if judged.gap is not None:
        gaps = accuracy_by_gap(judged, settings.theta, bootstrap, settings.farthest)
        tables = {"accuracy_by_gap": gaps} | tables
    return Diagnosis(
        metrics={
            **_intervals(judged, fold, bootstrap),
            **calibration,
            **triple_metrics(judged),
            **subgroups,
        },
        tables=tables | reliability | by_group,
    )


def plot_diagnosis(diagnosis: Diagnosis, image_paths: Mapping[str, str], folder: Path) -> None:
    """Write accuracy_by_gap, reliability, hardest_pairs and subgroups as PNG, if available.

    image_paths: file of each image id. Raises DataError if one of the files is no image.
    """
    tables = diagnosis.tables
    if "accuracy_by_gap" in tables:
        plot_accuracy_by_gap(tables["accuracy_by_gap"], folder / "accuracy_by_gap.png")
    temperature, calibrated = diagnosis.metrics["temperature"], tables.get("reliability_calibrated")
    plot_reliability(tables["reliability"], calibrated, temperature, folder / "reliability.png")
    plot_hardest_pairs(tables["hardest_pairs"], image_paths, folder / "hardest_pairs.png")
    if "subgroups" in tables:
        plot_subgroups(tables["subgroups"], folder / "subgroups.png")


def _intervals(judged: JudgedPairs, fold: RankedFold, bootstrap: ImageBootstrap) -> Metrics:
    """Return accuracy_low, accuracy_high, and with scores the same of each correlation."""
    everything = np.ones(judged.right.size, dtype=np.bool_)
    samples = {"accuracy": judged.accuracy_samples(everything, bootstrap)}
    if "score" in fold.images:
        samples |= bootstrap.correlations(fold.images["score"].to_numpy(), fold.strengths)
    return {
        f"{name}_{end}": value
        for name, values in samples.items()
        for end, value in zip(("low", "high"), interval(values), strict=True)
    }


def _calibration(
    judged: JudgedPairs, probabilities: Floats, temperature: float | None
) -> tuple[Metrics, Tables]:
    """Return ece, ece_calibrated, temperature, and the reliability before and after it."""
    table = reliability_table(judged.truth, judged.averaged)
    metrics: Metrics = {"ece": expected_calibration_error(table)}
    metrics |= {"ece_calibrated": None, "temperature": temperature}
    if temperature is None:
        return metrics, {"reliability": table}
    averaged = average_orders(with_temperature(probabilities, temperature))
    calibrated = reliability_table(judged.truth, averaged)
    metrics["ece_calibrated"] = expected_calibration_error(calibrated)
    return metrics, {"reliability": table, "reliability_calibrated": calibrated}


def _subgroups(
    judged: JudgedPairs, fold: RankedFold, bootstrap: ImageBootstrap
) -> tuple[Metrics, Tables]:
    if not group_names(fold.images):
        return NO_GROUPS, {}
    subgroups = Subgroups(
        judged=judged,
        images=fold.images,
        strengths=fold.strengths,
        estimates=fold.estimates,
        bootstrap=bootstrap,
    )
    table = subgroups.table()
    return subgroups.metrics(table), {"subgroups": table}
