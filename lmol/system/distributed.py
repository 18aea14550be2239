"""The distributed environment of this process, and the environment variables it needs."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from accelerate import PartialState
    from torch import Tensor

PATIENCE = timedelta(days=7)
"""How long a process waits for the others, whose share of a long evaluation may take hours more."""

Value = TypeVar("Value")


def num_processes() -> int:
    """How many processes share this run, as torchrun says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_index() -> int:
    """This process's number, 0 for the one that writes and for a process that is alone."""
    return int(os.environ.get("RANK", "0"))


def set_environment() -> None:
    """Set what Hydra and torch read, before torch is imported; it holds for workers too.

    Hydra is to hand exceptions on as they are. Threads that wait for each other are to give their
    cores to other processes soon: libgomp, with which torch computes, lets them spin some 300,000
    times, which beside busy processes costs more than it saves. What a user sets stays.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def process_state() -> PartialState:
    """The processes of this run in accelerate's words; joins them where they were not yet.

    Without being told, accelerate joins processes on accelerators alone.
    """
    import torch
    from accelerate import PartialState

    if num_processes() == 1:
        return PartialState()
    return PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)


def of_first(value: Value) -> Value:
    """The first process's value, on all of them, which wait for each other here. It must pickle."""
    if num_processes() == 1:
        return value
    from accelerate.utils import broadcast_object_list

    process_state()
    [shared] = broadcast_object_list([value])
    return shared


def over_processes(numbers: Tensor, reduction: Literal["sum", "mean"]) -> Tensor:
    """The sum or mean of each number over all processes, on all of them."""
    if num_processes() == 1:
        return numbers
    from accelerate.utils import reduce

    process_state()
    reduced: Tensor = reduce(numbers, reduction)
    return reduced
