"""Processes of a launcher's jobs, which end with the command and first record how they ended."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from lmol.system.distributed import num_processes
from lmol.system.signals import (
    SIGNALS_OF_PROCESS,
    Stopped,
    describe_interrupt,
    end_with_parent,
    ending_by_signals,
    exit_code,
)

MANIFEST = "manifest.json"
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


def wait_for_jobs(sweeps: Iterable[Path]) -> None:
    """Send SIGTERM to jobs in child processes; wait until their manifests say how they ended."""
    sweeps = list(sweeps)
    for process in _running(sweeps):
        process.terminate()
    deadline = time.monotonic() + LONGEST_END
    while _running(sweeps) and time.monotonic() < deadline:
        time.sleep(POLL)


def _running(sweeps: Iterable[Path]) -> list[psutil.Process]:
    """Return the child processes whose job is running according to its manifest."""
    manifests = [_read(path) for sweep in sweeps for path in sweep.glob("*/" + MANIFEST)]
    pids = {
        facts.get("pid")
        for facts in manifests
        if facts.get("status") == "running" and facts.get("host") == socket.gethostname()
    }
    children = psutil.Process().children(recursive=True) if pids else []
    return [child for child in children if child.pid in pids and _lives(child)]


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _read(path: Path) -> dict[str, object]:
    """Return a manifest; it is empty while a job starts."""
    try:
        facts: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return facts
