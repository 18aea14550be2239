"""The diagnosis of a judged and ranked set of images: its metrics, tables and pictures together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lmol.evaluation.calibration import (
    expected_calibration_error,
    fit_temperature,
    reliability_table,
    with_temperature,
)
from lmol.evaluation.diagnostic_plots import (
    plot_accuracy_by_gap,
    plot_reliability,
    plot_subgroups,
)
from lmol.evaluation.gaps import accuracy_by_gap
from lmol.evaluation.hardest_pairs import hardest_pairs, plot_hardest_pairs
from lmol.evaluation.intervals import ImageBootstrap, interval
from lmol.evaluation.judged import JudgedPairs
from lmol.evaluation.metrics import (
    Floats,
    Metrics,
    average_orders,
    predictions_table,
)
from lmol.evaluation.subgroups import NO_GROUPS, Subgroups, group_names
from lmol.evaluation.transitivity import triple_metrics
from lmol.verdict import verdict_indices

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True, kw_only=True, eq=False)
class Diagnosis:
    """metrics: flat, to be merged into metrics.json. tables: by the name of their CSV file.

    accuracy_by_gap, reliability, hardest_pairs, and where there is what they need,
    reliability_calibrated (a temperature) and subgroups (groups of images).
    """

    metrics: Metrics
    tables: Tables


def diagnose(
    pairs: pd.DataFrame,
    probabilities: Floats,
    images: pd.DataFrame,
    strengths: Floats,
    estimates: Floats | None,
    *,
    theta: float,
    farthest: float = 0.0,
    validation_labels: ArrayLike | None = None,
    validation_probabilities: Floats | None = None,
    seed: int,
    replicates: int,
) -> Diagnosis:
    """What accuracy and correlations leave open: how certain they are, and where the judge is weak.

    pairs: P pairs, with probabilities of shape (P, 2, 3). images: a score table of n rows, with
    strengths and estimates, if there are any, of shape (n,) in its order. theta, farthest:
    points of score, the latter the largest gap of the whole data set.
    validation_labels, validation_probabilities: of V validation pairs, titles of shape (V,) and
    (V, 2, 3); without them no temperature is fitted. replicates: resamples of the images, drawn
    with `seed`.
    """
    judged = JudgedPairs.of(pairs, probabilities, images["image"])
    bootstrap = ImageBootstrap(len(images), replicates, seed)
    temperature = _temperature(validation_labels, validation_probabilities)
    calibration, reliability = _calibration(judged, probabilities, temperature)
    subgroups, by_group = _subgroups(judged, images, strengths, estimates, bootstrap)
    tables = {
        "accuracy_by_gap": accuracy_by_gap(judged, theta, bootstrap, farthest),
        "hardest_pairs": hardest_pairs(predictions_table(pairs, probabilities), pairs),
    }
    return Diagnosis(
        metrics={
            **_intervals(judged, images["score"].to_numpy(), strengths, bootstrap),
            **calibration,
            **triple_metrics(judged),
            **subgroups,
        },
        tables=tables | reliability | by_group,
    )


def plot_diagnosis(diagnosis: Diagnosis, image_paths: Mapping[str, str], folder: Path) -> None:
    """Write accuracy_by_gap, reliability and hardest_pairs as PNG, and subgroups where there are.

    image_paths: file of each image id. Raises DataError where one of the files is no image.
    """
    tables, metrics = diagnosis.tables, diagnosis.metrics
    ece = metrics["ece"]
    assert ece is not None
    plot_accuracy_by_gap(tables["accuracy_by_gap"], folder / "accuracy_by_gap.png")
    plot_reliability(
        tables["reliability"],
        tables.get("reliability_calibrated"),
        ece,
        metrics["ece_calibrated"],
        metrics["temperature"],
        folder / "reliability.png",
    )
    plot_hardest_pairs(tables["hardest_pairs"], image_paths, folder / "hardest_pairs.png")
    if "subgroups" in tables:
        plot_subgroups(tables["subgroups"], folder / "subgroups.png")


def _intervals(
    judged: JudgedPairs, scores: Floats, strengths: Floats, bootstrap: ImageBootstrap
) -> Metrics:
    """accuracy_low, accuracy_high, and the same of each correlation."""
    everything = np.ones(judged.right.size, dtype=np.bool_)
    samples = {"accuracy": judged.accuracy_samples(everything, bootstrap)}
    samples |= bootstrap.correlations(scores, strengths)
    return {
        f"{name}_{end}": value
        for name, values in samples.items()
        for end, value in zip(("low", "high"), interval(values), strict=True)
    }


def _temperature(labels: ArrayLike | None, probabilities: Floats | None) -> float | None:
    assert (labels is None) == (probabilities is None), "validation labels and answers, or neither"
    if labels is None or probabilities is None:
        return None
    return fit_temperature(verdict_indices(labels), probabilities)


def _calibration(
    judged: JudgedPairs, probabilities: Floats, temperature: float | None
) -> tuple[Metrics, Tables]:
    """ece, ece_calibrated, temperature, and the reliability before and after it."""
    metrics: Metrics = {"ece": expected_calibration_error(judged.truth, judged.averaged)}
    metrics |= {"ece_calibrated": None, "temperature": temperature}
    tables = {"reliability": reliability_table(judged.truth, judged.averaged)}
    if temperature is not None:
        calibrated = average_orders(with_temperature(probabilities, temperature))
        metrics["ece_calibrated"] = expected_calibration_error(judged.truth, calibrated)
        tables["reliability_calibrated"] = reliability_table(judged.truth, calibrated)
    return metrics, tables


def _subgroups(
    judged: JudgedPairs,
    images: pd.DataFrame,
    strengths: Floats,
    estimates: Floats | None,
    bootstrap: ImageBootstrap,
) -> tuple[Metrics, Tables]:
    if not group_names(images):
        return NO_GROUPS, {}
    subgroups = Subgroups(
        judged=judged, images=images, strengths=strengths, estimates=estimates, bootstrap=bootstrap
    )
    table = subgroups.table()
    return subgroups.metrics(table), {"subgroups": table}
