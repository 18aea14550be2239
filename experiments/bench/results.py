"""Comparison of two run folders, bit for bit, without what clock and memory of a machine decide."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors.torch import load_file

BY_CLOCK = ("seconds", "train_seconds", "eval_seconds")
"""Columns and metrics that are durations."""

PATH = "path"
"""Column of the files' places, which may differ between two run folders."""

OF_MACHINE = ("memory.csv", "manifest.json", "run.log", "config.yaml")
"""Files about the process; the audit's summaries also hold its memory."""

FINDING_BY_CLOCK = "throughput_drop"
"""The rule of health that compares durations of steps."""

COMPARED = (".csv", ".json", ".jsonl", ".safetensors", ".png")


def differing(one: Path, other: Path) -> list[str]:
    """Return the names of the files in which two run folders differ; a missing file differs too."""
    names = sorted({*_names(one), *_names(other)})
    return [name for name in names if not _same(one / name, other / name)]


def _names(run: Path) -> list[str]:
    found = (path.relative_to(run) for path in run.rglob("*") if path.is_file())
    return [
        str(path)
        for path in found
        if path.suffix in COMPARED and path.name not in OF_MACHINE and path.parts[0] != "wandb"
    ]


def _same(one: Path, other: Path) -> bool:
    if not (one.is_file() and other.is_file()):
        return False
    return bool(_content(one) == _content(other))


def _content(file: Path) -> Any:
    data = file.read_bytes()
    if file.suffix == ".csv":
        table = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)
        return table.drop(columns=[*BY_CLOCK, PATH], errors="ignore").to_csv()
    if file.suffix == ".json":
        return _without_machine(json.loads(data))
    if file.suffix == ".safetensors":
        return {
            name: (tensor.shape, tensor.dtype, tensor.contiguous().view(-1).numpy().tobytes())
            for name, tensor in load_file(file).items()
        }
    return data


def _without_machine(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key not in (*BY_CLOCK, "memory")}
        return {key: _without_machine(item) for key, item in kept.items()}
    if not isinstance(value, list):
        return value
    return [_without_machine(item) for item in value if not _by_clock(item)]


def _by_clock(item: Any) -> bool:
    return isinstance(item, dict) and item.get("rule") == FINDING_BY_CLOCK
