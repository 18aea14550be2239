"""The distributed environment of this process, and the environment variables it needs."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from accelerate import PartialState
    from torch import Tensor

PATIENCE = timedelta(days=7)
"""Time to wait for other processes, whose share of a long evaluation may take hours more."""

Value = TypeVar("Value")


def num_processes() -> int:
    """Return the number of processes that share this run, from torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_index() -> int:
    """Return this process's number; 0 for the process that writes, or for a single process."""
    return int(os.environ.get("RANK", "0"))


def set_environment() -> None:
    """Set variables for Hydra and torch, before torch is imported; workers inherit them.

    Hydra shall pass exceptions on unchanged. Waiting threads shall soon give their cores to other
    processes: libgomp, which torch uses, lets them spin some 300,000 times, which beside busy
    processes costs more than it saves. Variables that the user has set stay.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def process_state() -> PartialState:
    """Return accelerate's state of this run's processes; join the processes if needed.

    By default, accelerate joins only processes on accelerators.
    """
    import torch
    from accelerate import PartialState

    if num_processes() == 1:
        return PartialState()
    return PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)


def of_first(value: Value) -> Value:
    """Return the first process's value on all processes, which wait here. It must pickle."""
    if num_processes() == 1:
        return value
    from accelerate.utils import broadcast_object_list

    process_state()
    [shared] = broadcast_object_list([value])
    return shared


def over_processes(numbers: Tensor, reduction: Literal["sum", "mean"]) -> Tensor:
    """Return the sum or mean of each number over all processes, on all of them."""
    if num_processes() == 1:
        return numbers
    from accelerate.utils import reduce

    process_state()
    reduced: Tensor = reduce(numbers, reduction)
    return reduced
