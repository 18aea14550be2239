"""The guard: results of this tree against those of an earlier commit, bit for bit.

    make guard [BASE=commit]

Runs the same commands with both, on this machine (bits differ between kinds of processors), and
compares every table, number and weight that they leave. What changed on purpose since BASE stands
in ON_PURPOSE below, and nowhere else.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[1]
BASE = "f11771f"
"""The commit before the house was rebuilt."""

ON_PURPOSE: dict[str, dict[str, str]] = {}
"""Renamed keys and columns: file pattern -> old name -> new name."""

CHANGED = ("format", "base", "comparer", "signature", "_target_")
"""Keys and columns that are new since BASE, or whose values are names of moved classes."""

VARYING = re.compile(r"seconds|time|memory|rss|_gb$|bytes|path|version|commit|pid|host|start|end$")
"""Keys and columns that differ between any two runs."""

SMALL = (
    "data.source.num_images=60",
    "data.schedule.num_pairs=96",
    "train.batch_pairs=8",
    "train.accumulation=2",
    "model.lora.dropout=0.1",
    "train.validate_every=0.5",
    "train.log_every=2",
    "threads=1",
    "tracking=off",
)
COMMANDS = {
    "train": (*SMALL, "audit=full", "audit.interval=2", "hydra.run.dir=train"),
    "pixels": (*SMALL, "model.cache_features=false", "fold=2", "hydra.run.dir=pixels"),
    "sweep": (*SMALL, "-m", "fold=1,2", "audit=off", "hydra.sweep.dir=sweep"),
    "evaluate": ("task=evaluate", "run=train", "hydra.run.dir=evaluate", "tracking=off"),
    "rank": ("task=rank", "run=train", "ranking.pairing=adaptive", "hydra.run.dir=rank"),
    "export": ("task=export", "run=train", "hydra.run.dir=export"),
    "audit": (*SMALL, "task=audit", "audit.steps=3", "hydra.run.dir=audit"),
    "prepare": ("task=prepare", *SMALL[:2], "hydra.run.dir=prepare"),
}


def archive_of(commit: str, folder: Path) -> None:
    """Write the packages of a commit as an installation lays them out."""
    packed = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit, "lmol", "conf", "experiments"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    lay_out(folder, folder)


def lay_out(source: Path, folder: Path) -> None:
    """conf/ and experiments/ stand inside the package, as in a wheel."""
    for name, place in (
        ("lmol", "lmol"),
        ("conf", "lmol/conf"),
        ("experiments", "lmol/experiments"),
    ):
        if (source / name).resolve() != (folder / place).resolve():
            shutil.copytree(source / name, folder / place, dirs_exist_ok=True)


def run_all(packages: Path, folder: Path) -> None:
    """Run all commands with the packages there; results are left in the folder."""
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(packages), "OMP_NUM_THREADS": "1"}
    for name, arguments in COMMANDS.items():
        command = [sys.executable, "-m", "lmol.run", *arguments]
        ended = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if ended.returncode != 0:
            raise SystemExit(f"{name} failed with {packages}:\n{ended.stderr}")


def results(folder: Path) -> dict[str, Any]:
    """Return the results by file: tables, values and tensors, without what varies."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = re.sub(r"_[0-9a-f]{8}/", "/", str(path.relative_to(folder)))  # faces, by their code
        if path.suffix == ".csv":
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
            columns = table.rename(columns=renamed(name)).to_dict("list")
            found[name] = {c: v for c, v in columns.items() if not left_out(str(c))}
        elif path.suffix == ".json" and path.name != "manifest.json":
            found[name] = plain(json.loads(path.read_text()), renamed(name))
        elif path.suffix == ".jsonl":
            lines = map(json.loads, path.read_text().splitlines())
            found[name] = [plain(line, renamed(name)) for line in lines]
        elif path.suffix == ".safetensors":
            found[name] = {key: bits(tensor) for key, tensor in load_file(path).items()}
    return found


def renamed(name: str) -> dict[str, str]:
    """Old names with the new ones, of a file."""
    return {
        old: new
        for pattern, names in ON_PURPOSE.items()
        if re.search(pattern, name)
        for old, new in names.items()
    }


def plain(value: Any, names: dict[str, str]) -> Any:
    """Without the keys that vary, under the new names."""
    if isinstance(value, dict):
        return {names.get(k, k): plain(v, names) for k, v in value.items() if not left_out(k)}
    return [plain(item, names) for item in value] if isinstance(value, list) else value


def left_out(name: str) -> bool:
    """Return whether a key or column is not compared."""
    return name in CHANGED or bool(VARYING.search(name))


def bits(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Shape, type and bytes."""
    raw = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return tuple(tensor.shape), str(tensor.dtype), raw


def differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """A line a file that is gone, new, or other than it was."""
    for name in sorted({*before, *after}):
        if name not in after or name not in before:
            yield f"{name}: only {'before' if name in before else 'after'}"
        elif before[name] != after[name]:
            yield f"{name}: {what_differs(before[name], after[name])}"


def what_differs(before: Any, after: Any) -> str:
    """The first few keys whose values differ."""
    if isinstance(before, list) and isinstance(after, list):
        before, after = (dict(enumerate(value)) for value in (before, after))
    if not isinstance(before, dict) or not isinstance(after, dict):
        return f"{before!r:.60} became {after!r:.60}"
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return f"{len(keys)} differ: " + "; ".join(
        f"{key}: {what_differs(before.get(key), after.get(key))}" for key in keys[:4]
    )


def main() -> None:
    """Compare; exit code 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default=BASE)
    base = parser.parse_args().base
    with TemporaryDirectory() as name:
        folder = Path(name)
        archive_of(base, folder / "base")
        lay_out(ROOT, folder / "head")
        sides = {"base": folder / "before", "head": folder / "after"}
        with ThreadPoolExecutor(len(sides)) as pool:
            list(pool.map(lambda side: run_all(folder / side, sides[side]), sides))
        before, after = map(results, sides.values())
    found = list(differences(before, after))
    print(*found, sep="\n")
    values = f"{len(before)} files of {len(COMMANDS)} commands"
    print(f"{values}: {len(found)} differ from {base}" if found else f"{values}: as at {base}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
