"""Errors of worker processes end the training with a clear message, without a deadlock."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from lmol.data.collator import PairDataset
from lmol.data.data_set import DataSet
from lmol.data.pairs import UniformPairs
from lmol.errors import DataError, TrainingError
from lmol.model.features import PixelImages
from lmol.training import workers as module
from tests.training.parts import TRAIN, trainer_of

READ_BY_WORKERS = ("model.cache_features=false", "data.source.num_images=60", "tracking=off",
                   "data.schedule.num_pairs=96", "train.batch_pairs=8", "threads=1")  # fmt: skip


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_disappears_in_mid_training_is_named(comparer, faces, tmp_path, workers):
    pairs = UniformPairs(num_pairs=24).training(DataSet(images=faces), faces, 0.2, seed=0)
    moved = faces.assign(path=[str(tmp_path / "gone" / Path(path).name) for path in faces["path"]])
    first = pairs["img1"].iloc[0]
    kept = faces["image"] == first
    paths = moved.assign(path=moved["path"].where(~kept, faces["path"]))
    paths.loc[paths["image"] == pairs["img2"].iloc[0], "path"] = faces["path"].iloc[0]
    images = PixelImages(comparer.encoder.preprocess, paths)
    trainer = trainer_of(comparer, (images, pairs), tmp_path, replace(TRAIN, workers=workers))
    with pytest.raises(DataError, match=r"gone/.*: got missing; expected an image file"):
        trainer.train()


class Ending(Dataset[Any]):
    """Ends or stops its worker at the first item that a worker asks for."""

    def __init__(self, items, how):
        self.items, self.how, self.parent = items, how, os.getpid()

    def __len__(self):
        return len(self.items)

    def __getitem__(self, row):
        if os.getpid() != self.parent:
            os.kill(os.getpid(), self.how)
        return self.items[row]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a killed one
@pytest.mark.parametrize(
    ("how", "silence", "message"),
    [
        (signal.SIGKILL, 3600, "exited unexpectedly|killed by signal"),
        pytest.param(signal.SIGSTOP, 2, "timed out after", marks=pytest.mark.slow),
    ],
)
def test_a_dead_or_silent_worker_ends_the_training(
    comparer, data, tmp_path, monkeypatch, how, silence, message
):
    monkeypatch.setattr(module, "SILENCE", silence)
    images, pairs = data
    trainer = trainer_of(comparer, data, tmp_path, replace(TRAIN, workers=1))
    trainer.train_dataset = module.WorkerDataset(Ending(PairDataset(pairs, images), how))
    with pytest.raises(TrainingError, match=message), module.worker_failures():
        trainer.train()


def test_another_runtime_error_is_not_the_workers():
    with pytest.raises(RuntimeError, match="shape"), module.worker_failures():
        raise RuntimeError("shape")


def test_a_batch_that_finds_no_room_is_an_error_instead_of_silence(monkeypatch):
    def full(tensor):
        raise RuntimeError("unable to write to file: No space left on device")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    collator = module.WorkerCollator(lambda items: {"features": torch.zeros(1000, 1000)})
    error = collator([0])
    assert isinstance(error, TrainingError)
    assert "expected 4.0 MB for one more batch" in str(error)


@pytest.mark.slow
def test_too_little_shared_memory_is_an_error_before_training(tmp_path):
    small = 'mount -t tmpfs -o size=1m tmpfs /dev/shm && exec "$0" "$@"'
    unshare = ["unshare", "-m", "sh", "-c", small]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount a folder")
    command = [*unshare, sys.executable, "-m", "lmol.run", *READ_BY_WORKERS, "train.workers=2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 2, ended.stderr
    assert "train.workers: got 1.0 MB of free shared memory in /dev/shm" in ended.stderr
    assert "--shm-size" in ended.stderr
    assert "Traceback" not in ended.stderr
