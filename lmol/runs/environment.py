"""What a run ran on: source, versions, machine and memory."""

from __future__ import annotations

import platform
import resource
import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

import lmol
from lmol.system.distributed import num_processes

PACKAGES = (
    "lmol",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "bitsandbytes",
    "safetensors",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "pillow",
    "hydra-core",
    "omegaconf",
)

SOURCE = Path(lmol.__file__).resolve().parents[1]
"""The checkout that the code runs from; site-packages where it is installed."""


CLOCK_TICKS = 1.0
"""Seconds by which two readings of the start of one process may differ."""

_cuda_peaks: dict[int, int] = {}


def describe_environment() -> dict[str, Any]:
    """git commit (None outside a checkout), versions (None where absent), Python, platform."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain")
    return {
        "git_commit": commit,
        "git_dirty": None if changes is None else bool(changes),
        "versions": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def describe_process() -> dict[str, Any]:
    """Host, process and its start in seconds since the epoch, by which it is found again."""
    process = psutil.Process()
    return {
        "host": socket.gethostname(),
        "pid": process.pid,
        "num_processes": num_processes(),
        "process_start": process.create_time(),
    }


def process_lives(facts: Mapping[str, Any]) -> bool | None:
    """Whether a described process still runs; None where that cannot be seen from this host."""
    if facts.get("host") != socket.gethostname():
        return None
    try:
        process = psutil.Process(facts["pid"])
        same = abs(process.create_time() - facts["process_start"]) < CLOCK_TICKS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def peak_memory() -> dict[str, int | list[int] | None]:
    """Bytes: the most that this process has held, and that each CUDA device has held for it."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"peak_memory_bytes": peak, "peak_cuda_bytes": _peak_cuda()}


def remember_cuda_peak(device: int, peak: int) -> None:
    """Keep a device's peak, in bytes, before whoever measures phases lets torch count anew."""
    _cuda_peaks[device] = max(peak, _cuda_peaks.get(device, 0))


def _peak_cuda() -> list[int] | None:
    """None where torch was not loaded, for it is not loaded for this, or sees no CUDA device."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    devices = range(torch.cuda.device_count())
    return [
        max(int(torch.cuda.max_memory_allocated(device)), _cuda_peaks.get(device, 0))
        for device in devices
    ]


def _git(*arguments: str, source: Path = SOURCE) -> str | None:
    """git's answer about the source checkout; None where there is no checkout, or no git."""
    if not (source / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(source), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
