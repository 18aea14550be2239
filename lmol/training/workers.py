"""Processes that read images for training: how they start, what they share, how long they may take.

They hand over batches in shared memory, which containers often bound: Docker gives 64 MB.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from lmol.errors import TrainingError

SHARED_MEMORY = Path("/dev/shm")

START = "fork" if sys.platform == "linux" else "spawn"
"""How workers start, whatever the default is; in processes of joblib torch cannot use that one."""

LONGEST_SILENCE = 1800.0
"""Seconds without a batch after which workers count as dead; a batch takes seconds at most."""

FAULTS = ("DataLoader worker", "DataLoader timed out")
"""How torch's errors about workers begin; it has no type of its own for them."""


def supervise(loader: DataLoader[Any]) -> None:
    """Let a loader start its workers by START and give up after LONGEST_SILENCE."""
    stock = getattr(
        loader, "base_dataloader", loader
    )  # accelerate's holds the one that it iterates
    stock.multiprocessing_context = START
    stock.timeout = LONGEST_SILENCE


def require_shared_memory(loader: DataLoader[Any], workers: int) -> None:
    """Raise TrainingError where the batches that workers prepare ahead do not fit into memory.

    Without the room they would wait for it without an end, or be killed. One batch is read to see
    how large it is.
    """
    if not SHARED_MEMORY.is_dir():
        return
    needed = bytes_ahead(loader, workers)
    free = shutil.disk_usage(SHARED_MEMORY).free
    if needed > free:
        raise TrainingError(
            "train.workers",
            got=f"{workers}, who share {free / 1e6:.1f} MB of memory in {SHARED_MEMORY}",
            expected=f"{needed / 1e6:.1f} MB free, for the batches that they prepare ahead",
            remedy="give the container more (docker run --shm-size=2g, or --ipc=host), or set "
            "train.workers=0 or a smaller number",
        )


def bytes_ahead(loader: DataLoader[Any], workers: int) -> int:
    """Bytes of the batches that are in shared memory at a time, one in use included."""
    assert loader.collate_fn is not None
    dataset: Any = loader.dataset
    batch = loader.collate_fn([dataset[0]])
    one = sum(_bytes(value) for value in batch.values()) if isinstance(batch, Mapping) else 0
    return one * (loader.batch_size or 1) * (workers * (loader.prefetch_factor or 2) + 1)


def _bytes(value: object) -> int:
    return value.numel() * value.element_size() if isinstance(value, Tensor) else 0


@contextmanager
def explained() -> Iterator[None]:
    """Turn torch's errors about dead or silent workers into TrainingError."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith(FAULTS):
            raise
        raise TrainingError(
            "train.workers",
            got=" ".join(str(error).split()),
            expected="workers that go on reading images until training ends",
            remedy="look for a full memory (dmesg, docker --shm-size) or a drive that is away; "
            "train.workers=0 reads images in the process itself",
        ) from error
