"""The lock of a running run: other hosts, which cannot see its process, see the lock."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lmol.runs.environment import process_lives

LOCK = ".running.lock"
RUNNING = "running"

logging.getLogger("filelock").setLevel(logging.WARNING)


@contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a run while the block runs, if the file system has locks."""
    with ExitStack() as held:
        with suppress(OSError, NotImplementedError):
            held.enter_context(FileLock(path / LOCK, timeout=0))
            held.callback((path / LOCK).unlink, missing_ok=True)
        yield


def _is_locked(path: Path) -> bool:
    """Return whether a process, on any host that shares the file system, holds a run's lock."""
    if not (path / LOCK).exists() or (path / LOCK).is_symlink():
        return False
    try:
        with FileLock(path / LOCK, timeout=0):
            return False
    except (Timeout, OSError, NotImplementedError):
        return True


def still_runs(path: Path, manifest: Mapping[str, Any]) -> bool:
    """Return whether a process works on a run; on another host, only the run's lock says so."""
    if manifest.get("status") != RUNNING:
        return False
    lives = process_lives(manifest)
    return _is_locked(path) if lives is None else lives
