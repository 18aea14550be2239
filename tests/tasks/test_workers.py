"""Processes that read images: started anywhere, never waited for without an end, faults named."""

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from lmol.training.trainer import ComparisonTrainer
from tests.tasks.conftest import SMALL

FROM_FILES = (*SMALL, "model.cache_features=false", "train.validate_every=1", "audit=off")


def weights(run):
    return Path(run, "checkpoints/last/adapter_model.safetensors").read_bytes()


def test_the_number_of_workers_changes_no_result(command):
    for workers in (0, 2):
        settings = (f"train.workers={workers}", f"hydra.run.dir=run{workers}")
        assert command(*FROM_FILES, *settings) == (0, "")
    assert weights("run0") == weights("run2")


@pytest.mark.parametrize("folds", ["1", pytest.param("1,2", marks=pytest.mark.slow)])
def test_workers_and_a_launcher_with_processes_of_its_own_go_together(command, folds):
    few = ("data.schedule.num_pairs=24", "train.workers=1", "hydra.sweep.dir=sweep")
    sweep = ("-m", "+launcher=joblib", f"fold={folds}")
    assert command(*sweep, *FROM_FILES, *few) == (0, "")
    assert pd.read_csv("sweep/sweep.csv")["status"].eq("done").all()
    assert json.loads(Path("sweep/fold_1/manifest.json").read_text())["pid"] != os.getpid()


def own_table(faces, folder):
    """A table of copies of the faces, which a test may take away."""
    for path in faces["path"]:
        shutil.copy(path, folder)
    faces[["image", "score"]].to_csv(folder / "scores.csv", index=False)
    data = ("data=csv", "data.root=.", "data.question='Which face looks more attractive?'")
    return (*data, *(s for s in FROM_FILES if not s.startswith("data.source")))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_goes_in_mid_training_is_named(command, faces, monkeypatch, workers):
    stock = ComparisonTrainer.training_step

    def take_away(*arguments, **options):
        for path in Path().glob("face*.png"):
            path.unlink()
        return stock(*arguments, **options)

    settings = own_table(faces, Path())
    monkeypatch.setattr(ComparisonTrainer, "training_step", take_away)
    code, message = command(*settings, f"train.workers={workers}")
    assert code == 2
    assert "Traceback" not in message
    assert "face0" in message
    assert "got missing" in message
