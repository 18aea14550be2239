"""The distributed environment of this process, and the environment variables it needs."""

from __future__ import annotations

import os


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
