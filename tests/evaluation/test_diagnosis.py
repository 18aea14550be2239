"""The diagnosis of a simulated judge, whose weaknesses are known, and its pictures."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.special import softmax

from lmol.data.evaluation_pairs import all_pairs
from lmol.evaluation.calibration import fit_temperature
from lmol.evaluation.diagnosis import (
    Diagnosis,
    DiagnosisSettings,
    RankedFold,
    diagnose,
    plot_diagnosis,
)
from lmol.evaluation.metrics import classification_metrics
from lmol.ranking.bradley_terry import fit_strengths
from lmol.system.files import to_json
from lmol.verdict import verdict_indices

NUM = 40


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    paths = [folder / f"{index}.png" for index in range(NUM)]
    for index, path in enumerate(paths):
        Image.new("RGB", (32, 32), (5 * index, 100, 100)).save(path)
    return pd.DataFrame(
        {
            "image": [path.name for path in paths],
            "path": [str(path) for path in paths],
            "score": np.round(rng.uniform(1, 5, NUM), 3),
            "group": ["a", "b"] * (NUM // 2),
        }
    )


def arguments(images: pd.DataFrame, seed: int = 1) -> dict[str, Any]:
    """A judge that sees scores with an error an image, and is four times too sure."""
    rng = np.random.default_rng(seed)
    seen = images["score"].to_numpy() + rng.normal(scale=0.4, size=len(images))
    pairs = all_pairs(images, theta=0.2)
    first, second = np.triu_indices(len(images), 1)
    gap = 2.0 * (seen[first] - seen[second])
    noise = rng.normal(scale=0.2, size=(len(pairs), 2, 3))
    logits = np.stack([gap, -gap, np.full_like(gap, 0.3)], axis=1)
    both = 4.0 * (np.stack([logits, logits[:, [1, 0, 2]]], axis=1) + noise)
    fit = fit_strengths(len(images), first, second, (gap > 0).astype(float), 1.0)
    return {
        "pairs": pairs,
        "probabilities": softmax(both, axis=-1),
        "images": images,
        "strengths": fit.strengths,
        "estimates": 3.0 + 0.5 * fit.strengths,
        "theta": 0.2,
        "seed": 3,
        "replicates": 200,
    }


def validated(images: pd.DataFrame) -> Diagnosis:
    given, validation = arguments(images), arguments(images, seed=2)
    labels = verdict_indices(validation["pairs"]["label"])
    return diagnosed(given, fit_temperature(labels, validation["probabilities"]))


def diagnosed(given: dict[str, Any], temperature: float | None = None) -> Diagnosis:
    names = ("theta", "seed", "replicates")
    fold = RankedFold(**{name: value for name, value in given.items() if name not in names})
    settings = DiagnosisSettings(**{name: given[name] for name in names}, temperature=temperature)
    return diagnose(fold, settings)


@pytest.fixture(scope="module")
def diagnosis(images: pd.DataFrame) -> Diagnosis:
    return validated(images)


def drawn(path: Path) -> NDArray[np.uint8]:
    """Pixels of a picture that has more on it than its background."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB"))
    assert 400 <= min(pixels.shape[:2]) <= max(pixels.shape[:2]) <= 2000
    assert 0.01 < (pixels != 255).any(axis=2).mean() < 0.9
    return pixels


def paths_of(images: pd.DataFrame) -> dict[str, str]:
    return dict(zip(images["image"], images["path"], strict=True))


def test_intervals_hold_what_they_are_about(diagnosis: Diagnosis, images: pd.DataFrame) -> None:
    given = arguments(images)
    accuracy = classification_metrics(given["pairs"]["label"], given["probabilities"])["accuracy"]
    low, high = (diagnosis.metrics[f"accuracy_{end}"] for end in ("low", "high"))
    assert accuracy is not None
    assert low is not None
    assert high is not None
    assert low < accuracy < high
    for name in ("pearson", "spearman", "kendall"):
        low, high = (diagnosis.metrics[f"{name}_{end}"] for end in ("low", "high"))
        assert low is not None
        assert high is not None
        assert 0.5 < low < high < 1.0


def test_other_pairs_correct_a_judge_that_is_too_sure(diagnosis: Diagnosis) -> None:
    temperature, before, after = (
        diagnosis.metrics[name] for name in ("temperature", "ece", "ece_calibrated")
    )
    assert temperature is not None
    assert before is not None
    assert after is not None
    assert temperature > 2.0
    assert after < before / 2


def test_metrics_are_flat_plain_numbers_that_none_of_the_others_has(
    diagnosis: Diagnosis, images: pd.DataFrame
) -> None:
    assert all(isinstance(value, float | int) for value in diagnosis.metrics.values())
    to_json(diagnosis.metrics)
    given = arguments(images)
    known = classification_metrics(given["pairs"]["label"], given["probabilities"])
    assert not {*known} & {*diagnosis.metrics}


def test_the_same_seed_gives_the_same_diagnosis(diagnosis: Diagnosis, images: pd.DataFrame) -> None:
    again = validated(images)
    assert again.metrics == diagnosis.metrics
    for name, table in diagnosis.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table)


def test_tables_are_there_where_there_is_what_they_need(
    diagnosis: Diagnosis, images: pd.DataFrame
) -> None:
    always = {"accuracy_by_gap", "reliability", "hardest_pairs"}
    assert {*diagnosis.tables} == always | {"reliability_calibrated", "subgroups"}
    bare = diagnosed(arguments(images.assign(group="")))
    assert {*bare.tables} == always
    assert list(bare.metrics) == list(diagnosis.metrics)
    for name in ("temperature", "ece_calibrated", "subgroup_gap", "within_across_gap_low"):
        assert bare.metrics[name] is None


def test_images_without_scores_have_no_gaps_and_no_correlations(images: pd.DataFrame) -> None:
    given = arguments(images)
    given["pairs"] = given["pairs"].drop(columns=["score1", "score2"])
    given |= {"images": images.drop(columns="score"), "estimates": None}
    bare = diagnosed(given)
    assert {*bare.tables} == {"reliability", "hardest_pairs", "subgroups"}
    assert "pearson_low" not in bare.metrics
    assert bare.metrics["accuracy_low"] is not None


def test_a_judge_that_prefers_nothing_is_diagnosed_and_drawn(
    images: pd.DataFrame, tmp_path: Path
) -> None:
    given = arguments(images)
    given["probabilities"] = np.full_like(given["probabilities"], 1 / 3)
    given["strengths"] = np.zeros(NUM)
    constant = diagnosed(given)
    assert constant.metrics["pearson_low"] is constant.metrics["cyclic_triples"] is None
    assert constant.metrics["triples"] == 0
    plot_diagnosis(constant, paths_of(images), tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_two_images_of_two_groups_are_diagnosed_and_drawn(
    images: pd.DataFrame, tmp_path: Path
) -> None:
    given = arguments(images[:2])
    plot_diagnosis(diagnosed(given), paths_of(images), tmp_path)
    assert (tmp_path / "subgroups.png").exists()


@pytest.mark.pictures
def test_the_pictures_are_drawn(diagnosis: Diagnosis, images: pd.DataFrame, tmp_path: Path) -> None:
    plot_diagnosis(diagnosis, paths_of(images), tmp_path)
    names = ["accuracy_by_gap", "hardest_pairs", "reliability", "subgroups"]
    assert sorted(path.stem for path in tmp_path.iterdir()) == names
    for path in tmp_path.iterdir():
        drawn(path)


def test_without_groups_there_is_no_picture_of_them(images: pd.DataFrame, tmp_path: Path) -> None:
    bare = diagnosed(arguments(images.assign(group="a")))
    plot_diagnosis(bare, paths_of(images), tmp_path)
    assert not (tmp_path / "subgroups.png").exists()
    assert (tmp_path / "reliability.png").exists()


def test_the_default_run_is_diagnosed_within_two_seconds(images: pd.DataFrame) -> None:
    many = pd.concat([images] * 4, ignore_index=True)
    many["image"] = [f"{index}.png" for index in range(len(many))]
    given = arguments(many) | {"replicates": 1000}
    started = time.perf_counter()
    assert len(diagnosed(given).tables["subgroups"]) == 5
    assert time.perf_counter() - started < 2.0


def test_pyplot_and_torch_are_not_imported() -> None:
    """Run a new process, because other tests import both libraries."""
    code = (
        "import sys, lmol.evaluation.diagnosis;"
        "print({'matplotlib.pyplot', 'torch'} & {*sys.modules})"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"
