"""Worker processes that read training images: their needs, and the report of their failures.

Without workers, this module is not used: the training process reads the images itself.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from lmol.config.schema import TrainConfig
from lmol.errors import LmolError, TrainingError

START_METHOD = "fork" if sys.platform == "linux" else "spawn"
"""Start method of workers, given by name because a joblib worker replaces Python's default."""

PREFETCHED = 2
"""Batches that each worker holds ready, which is torch's default."""

IN_USE = 2
"""Number of batches in the training process: the one in use, and the next."""

SILENCE = 30 * 60
"""Seconds without a batch after which the workers count as hanging."""

SHARED_MEMORY = Path("/dev/shm")
"""Shared memory on Linux, through which workers pass tensors; containers often have 64 MB."""

FAILURES = ("DataLoader ", "Pin memory thread", "Too many open files")
"""First words of the RuntimeErrors by which torch reports workers that died or are silent."""

FEWER = "set train.workers=0 or a smaller number"

Collator = Callable[[Any], dict[str, Tensor]]


@dataclass(frozen=True)
class WorkerDataset(Dataset[Any]):
    """Items of a dataset; an LmolError becomes an item, because torch would lose its parts."""

    dataset: Any

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, row: int) -> Any:
        try:
            return self.dataset[row]
        except LmolError as error:
            return error


@dataclass(frozen=True)
class WorkerCollator:
    """Collates in a worker and moves the batch to shared memory, or returns the first error.

    torch moves it later and in a thread, where a failure leaves the training process waiting.
    """

    collator: Collator

    def __call__(self, items: list[Any]) -> dict[str, Tensor] | LmolError:
        errors = [item for item in items if isinstance(item, LmolError)]
        if errors:
            return errors[0]
        batch = self.collator(items)
        try:
            return {name: tensor.share_memory_() for name, tensor in batch.items()}
        except RuntimeError:
            return _no_room(sum(tensor.nbytes for tensor in batch.values()), "for one more batch")


def for_workers(dataset: Any, collator: Any, config: TrainConfig) -> tuple[Any, Any]:
    """Return dataset and collator for use in workers; unchanged if there are no workers.

    Raises TrainingError if the workers' batches do not fit into the free shared memory.
    """
    if config.workers == 0:
        return dataset, collator
    _require_shared_memory(dataset, collator, config)
    return WorkerDataset(dataset), WorkerCollator(collator)


def guarded(loader: Any) -> Any:
    """Return accelerate's loader with a time limit on the wait for its workers."""
    if loader.num_workers:
        loader.base_dataloader.multiprocessing_context = START_METHOD
        loader.base_dataloader.timeout = SILENCE
    return loader


def _require_shared_memory(dataset: Any, collator: Collator, config: TrainConfig) -> None:
    """Raise TrainingError if the batches of this machine's processes exceed the shared memory."""
    if not SHARED_MEMORY.is_dir():
        return
    pair = sum(tensor.nbytes for tensor in collator([dataset[0]]).values())
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    batches = processes * (config.workers * PREFETCHED + IN_USE)
    needed = batches * config.batch_pairs * pair
    if needed > shutil.disk_usage(SHARED_MEMORY).free:
        raise _no_room(needed, f"for {batches} batches of {config.batch_pairs} pairs at a time")


def _no_room(needed: int, purpose: str) -> TrainingError:
    free = shutil.disk_usage(SHARED_MEMORY).free
    return TrainingError(
        "train.workers",
        got=f"{free / 1e6:.1f} MB of free shared memory in {SHARED_MEMORY}",
        expected=f"{needed / 1e6:.1f} MB {purpose}",
        remedy=f"give the container more (docker run --shm-size=...), or {FEWER}",
    )


@contextmanager
def worker_failures() -> Iterator[None]:
    """Turn torch's report of a dead or silent worker into a TrainingError."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith(FAILURES):
            raise
        raise TrainingError(
            "train.workers",
            got=str(error).splitlines()[0],
            expected=f"workers that run, and send a batch within {SILENCE} s",
            remedy=f"check memory, shared memory and the disk of the images; {FEWER}",
        ) from error
