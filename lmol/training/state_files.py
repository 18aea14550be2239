"""State that can be saved and restored: tensors and JSON values in a folder, without pickle.

tensors.safetensors holds the tensors, state.json all other values, checksums.json the SHA-256 of
both. A folder appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmol.errors import StateError
from lmol.system.files import UNREADABLE, flush, require_mapping

VALUES, TENSORS, CHECKSUMS = "state.json", "tensors.safetensors", "checksums.json"
MARK = "tensor:"
"""Prefix of the text that replaces a tensor in state.json, before the tensor's name."""

CHUNK = 2**24
"""Number of bytes of a file that are hashed at a time."""


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write a state to a temporary place beside the folder, then rename it to the folder.

    Its content is on the disk before it has its name, so that a power failure damages no state.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        tensors: dict[str, Tensor] = {}
        values = json.dumps(_without_tensors(state, "", tensors))
        save_file(tensors, partial / TENSORS)
        (partial / VALUES).write_text(values, encoding="utf-8")
        sums = {name: _checksum(partial / name) for name in (VALUES, TENSORS)}
        (partial / CHECKSUMS).write_text(json.dumps(sums), encoding="utf-8")
        for name in (VALUES, TENSORS, CHECKSUMS):
            flush(partial / name)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def read_state(folder: Path) -> dict[str, Any]:
    """Return the state in a folder; raise StateError if a file is missing or damaged."""
    try:
        sums = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
        for name in (VALUES, TENSORS):
            if sums[name] != _checksum(folder / name):
                raise ValueError(f"{name} does not have its checksum")
        values = json.loads((folder / VALUES).read_text(encoding="utf-8"))
        return require_mapping(_with_tensors(values, load_file(folder / TENSORS)))
    except (SafetensorError, *UNREADABLE) as error:
        raise StateError(
            folder,
            got=f"a damaged training state ({error})",
            expected=f"{VALUES} and {TENSORS} as they were written",
            remedy="continue from another state, or train anew",
        ) from error


def _without_tensors(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    """Return the value with a text in place of each tensor, which `tensors` receives."""
    if isinstance(value, Tensor):
        tensors[place] = value.detach().cpu().contiguous().clone()
        return MARK + place
    if isinstance(value, Mapping):
        return {k: _without_tensors(item, f"{place}/{k}", tensors) for k, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_tensors(v, f"{place}/{n}", tensors) for n, v in enumerate(value)]
    return value


def _with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, str) and value.startswith(MARK):
        return tensors[value.removeprefix(MARK)]
    if isinstance(value, dict):
        return {key: _with_tensors(item, tensors) for key, item in value.items()}
    return [_with_tensors(item, tensors) for item in value] if isinstance(value, list) else value


def _checksum(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()
