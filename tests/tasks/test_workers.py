"""Processes that read images: started anywhere, never waited for without an end, faults named."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.tasks.conftest import SMALL

FROM_FILES = (*SMALL, "model.cache_features=false", "train.validate_every=1")


def weights(run):
    return Path(run, "checkpoints/last/adapter_model.safetensors").read_bytes()


def test_the_number_of_workers_changes_no_result(command):
    for workers in (0, 1, 2):
        ended = command(*FROM_FILES, f"train.workers={workers}", f"hydra.run.dir=run{workers}")
        assert ended == (0, "")
    assert weights("run0") == weights("run1") == weights("run2")


def test_workers_and_a_launcher_with_own_processes_work_together(command):
    few = ("data.schedule.num_pairs=24", "train.workers=1", "hydra.sweep.dir=sweep")
    ended = command("-m", "+launcher=joblib", "fold=1,2", *FROM_FILES, *few)
    assert ended == (0, "")
    assert pd.read_csv("sweep/sweep.csv")["status"].tolist() == ["done", "done"]


def own_table(faces, folder):
    """A table of copies of the faces, which a test may take away."""
    for path in faces["path"]:
        shutil.copy(path, folder)
    faces[["image", "score"]].to_csv(folder / "scores.csv", index=False)
    data = ("data=csv", "data.root=.", "data.question='Which face looks more attractive?'")
    return (*data, *(s for s in FROM_FILES if not s.startswith("data.source")))


TAKE_AWAY = """
import sys
from pathlib import Path
from lmol.training.trainer import ComparisonTrainer
stock = ComparisonTrainer.training_step
def step(self, *arguments, **options):
    for path in Path().glob("face*.png"):
        path.unlink()
    return stock(self, *arguments, **options)
ComparisonTrainer.training_step = step
from lmol.run import main
main()
"""


@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_an_image_that_goes_in_mid_training_is_named(faces, tmp_path, workers):
    settings = own_table(faces, tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", TAKE_AWAY, *settings, f"train.workers={workers}"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "face0" in ended.stderr
    assert "got missing" in ended.stderr
