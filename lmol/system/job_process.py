"""Processes of a launcher's jobs, which end with the command and first record how they ended."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lmol.system.distributed import num_processes
from lmol.system.signals import (
    SIGNALS_OF_PROCESS,
    Stopped,
    describe_interrupt,
    end_with_parent,
    ending_by_signals,
    exit_code,
)

POLL = 0.1
LONGEST_END = 60.0
"""Seconds that an ending process gives another one to write how its run ended."""

_watching_parent: list[int] = []


@contextmanager
def job_process(name: str) -> Iterator[None]:
    """Handle signals in a launcher's worker process as the command does in its own.

    A worker whose command is gone ends by SIGTERM, and takes no further job.
    """
    if SIGNALS_OF_PROCESS.active or num_processes() > 1:
        yield
        return
    parent = os.getppid()
    if not _watching_parent:
        _watching_parent.append(parent)
        end_with_parent(parent)
    try:
        with ending_by_signals(lambda: None):
            yield
    except Stopped as error:
        kept = f"; {error.kept}" if error.kept else ""
        print(f"{name}: {describe_interrupt(error)}{kept}", flush=True)
        sys.stderr.flush()
        _rest(parent)
        os._exit(exit_code(error))  # otherwise the worker would take the next job


def _rest(parent: int) -> None:
    """Wait until the command ends this worker: if one is gone, joblib kills the others at once."""
    deadline = time.monotonic() + LONGEST_END
    while os.getppid() == parent and time.monotonic() < deadline:
        time.sleep(POLL)
