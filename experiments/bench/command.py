"""The real command as a process: its wall time, and the memory that its manifest reports."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def run_command(*arguments: str, **options: Any) -> float:
    """Run the command without its output; return the wall seconds, including Python's start.

    options: of subprocess.run, such as cwd. Raises CalledProcessError if the command fails.
    """
    command = [sys.executable, "-m", "lmol.run", *arguments]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)
    return time.perf_counter() - start


def peak_gb(run: Path) -> float:
    """Return the peak memory of a finished run in GB (10^9 bytes)."""
    manifest = json.loads((run / "manifest.json").read_text())
    return float(manifest["peak_memory_bytes"] / 1e9)
