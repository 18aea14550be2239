"""How this process was started: alone, or as one of several by torchrun or accelerate launch."""

from __future__ import annotations

import os


def num_processes() -> int:
    """How many processes share this run, as torchrun says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_index() -> int:
    """This process's number, 0 for the one that writes and for a process that is alone."""
    return int(os.environ.get("RANK", "0"))
