"""The environment of a run: source, versions, machine and memory."""

from __future__ import annotations

import platform
import resource
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
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
"""The checkout that the code runs from, or site-packages if it is installed."""


CLOCK_TICKS = 1.0
"""Largest difference, in seconds, between two readings of the start of one process."""

_cuda_peaks: dict[int, int] = {}


def describe_environment() -> dict[str, Any]:
    """Return git commit (None outside a checkout), versions (None if absent), Python, platform."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain")
    return {
        "git_commit": commit,
        "git_dirty": None if changes is None else bool(changes),
        "versions": package_versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def package_versions() -> dict[str, str | None]:
    """Return the version of each package that may change a result; None if it is absent."""
    return {name: _version(name) for name in PACKAGES}


def describe_process() -> dict[str, Any]:
    """Return host, process and its start in seconds since the epoch, which identify the process."""
    process = psutil.Process()
    return {
        "host": socket.gethostname(),
        "pid": process.pid,
        "num_processes": num_processes(),
        "process_start": process.create_time(),
    }


def process_lives(facts: Mapping[str, Any]) -> bool | None:
    """Return whether a described process still runs; None if this host cannot see it."""
    if facts.get("host") != socket.gethostname():
        return None
    try:
        process = psutil.Process(facts["pid"])
        same = abs(process.create_time() - facts["process_start"]) < CLOCK_TICKS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def peak_memory() -> dict[str, int | list[int] | None]:
    """Return the peak memory, in bytes, of this process and of each CUDA device for it."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"peak_memory_bytes": peak, "peak_cuda_bytes": _peak_cuda()}


def remember_cuda_peak(device: int, peak: int) -> None:
    """Keep a device's peak, in bytes; call it before resetting torch's own count."""
    _cuda_peaks[device] = max(peak, _cuda_peaks.get(device, 0))


def _peak_cuda() -> list[int] | None:
    """Return each device's peak; None if torch is not imported yet or sees no CUDA device."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    devices = range(torch.cuda.device_count())
    return [
        max(int(torch.cuda.max_memory_allocated(device)), _cuda_peaks.get(device, 0))
        for device in devices
    ]


def _git(*arguments: str, source: Path = SOURCE) -> str | None:
    """Return git's answer about the source checkout; None without a checkout or git."""
    if not (source / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(source), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
