"""Checkpoints: the trained tensors of a model, written and read as a whole, or refused.

A folder holds the files of the model's save_trained, and meta.json. The names and shapes of the
tensors must be those of the model.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lmol.errors import CheckpointError
from lmol.model.pair_model import PairModel
from lmol.runs.formats import FORMAT, KEY, require_format
from lmol.system.files import UNREADABLE, follow_umask, foreign_paths, require_mapping
from lmol.system.signals import held

META = "meta.json"


def save_checkpoint(model: PairModel, folder: Path, meta: dict[str, Any]) -> None:
    """Write a checkpoint to a temporary place, then move it; an older one is replaced.

    meta: metadata of the run (metric, step, ...), kept in meta.json with the model's spec, the
    fingerprint of the frozen weights, and the list of keys. Raises CheckpointError, without
    writing anything, if a number is not finite.
    """
    state = model.trained_state()
    _require_finite(folder, state)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with held():
        try:
            _write(model, partial, meta, sorted(state))
            _replace(partial, folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _write(model: PairModel, partial: Path, meta: dict[str, Any], keys: list[str]) -> None:
    model.save_trained(partial)
    stored = {
        KEY: FORMAT,
        **meta,
        "comparer": model.spec,
        "base": model.fingerprint(),
        "keys": keys,
    }
    (partial / META).write_text(json.dumps(stored, indent=2) + "\n")
    follow_umask(partial)


def _require_finite(folder: Path, tensors: dict[str, Tensor]) -> None:
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(
            folder,
            got=f"{len(broken)} tensor(s) with numbers that are not finite, {broken[0]} first",
            expected="finite weights: a checkpoint with others cannot be used",
            remedy="train with lower learning rates, or set optim.grad_clip",
        )


def _replace(partial: Path, folder: Path) -> None:
    older = folder.with_name(f".{folder.name}.older")
    shutil.rmtree(older, ignore_errors=True)
    if folder.exists():
        folder.rename(older)
    partial.rename(folder)
    shutil.rmtree(older, ignore_errors=True)


def load_checkpoint(model: PairModel, folder: Path) -> dict[str, Any]:
    """Read a checkpoint's tensors into a model and return its meta.json.

    Raises CheckpointError, before any weight is changed, if a tensor is missing, extra, of another
    shape or not finite, or was trained on another base.
    """
    meta = read_meta(folder)
    file = folder / model.weights_file
    try:
        tensors = load_file(file)
    except (SafetensorError, *UNREADABLE) as error:
        raise unreadable(folder, error) from error
    _check_base(folder, meta, model)
    _check_tensors(file, model.trained_state(), tensors)
    _require_finite(folder, tensors)
    model.load_trained_state(tensors)
    return meta


def read_meta(folder: Path) -> dict[str, Any]:
    """Return the meta.json of a checkpoint; raise CheckpointError if it cannot be read.

    A link that leads out of the folder is refused, under any name: some tasks copy it all.
    """
    for path in foreign_paths(folder):
        raise unreadable(folder, f"{path.name} is a link out of the folder, or no file")
    try:
        meta = require_mapping(json.loads((folder / META).read_text(encoding="utf-8")))
    except UNREADABLE as error:
        raise unreadable(folder, f"{META}: {error}") from error
    if not {"comparer", "base", "keys"} <= meta.keys():
        raise unreadable(folder, f"{META} lacks comparer, base or keys")
    require_format(folder / META, meta)
    return meta


def unreadable(folder: Path, reason: object) -> CheckpointError:
    """Return the error about a file of a checkpoint that cannot be read."""
    return CheckpointError(
        folder,
        got=f"no readable checkpoint ({reason})",
        expected=f"weights and {META} as this version writes them",
        remedy="name a folder checkpoints/best or checkpoints/last of a run",
    )


def _check_base(folder: Path, meta: dict[str, Any], model: PairModel) -> None:
    """Raise CheckpointError if the frozen weights are not those of the training."""
    trained_on, found = meta["base"], model.fingerprint()
    shared = trained_on.keys() & found.keys() if isinstance(trained_on, dict) else set()
    if not shared or any(trained_on[kind] != found[kind] for kind in shared):
        raise CheckpointError(
            folder,
            got="a base with other weights than the one it was trained on "
            f"({_named_frozen(meta['comparer'], model.frozen_from)})",
            expected="the same base in the same precision",
            remedy=f"set {model.frozen_from} to that base",
        )


def _named_frozen(spec: Mapping[str, Any], setting: str) -> object:
    """Return the spec's value of a dotted setting, or None if it has none."""
    found: Any = spec
    for key in setting.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _check_tensors(file: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    missing, unknown = expected.keys() - found.keys(), found.keys() - expected.keys()
    for kind, keys in (("is missing", missing), ("holds unknown", unknown)):
        if keys:
            got = f"a checkpoint that {kind} {len(keys)} tensor(s), {min(keys)} first"
            raise _misfit(file, got, f"exactly the {len(expected)} trained tensors of this model")
    for key, tensor in expected.items():
        if found[key].shape != tensor.shape:
            got = f"{key} of shape {tuple(found[key].shape)}"
            raise _misfit(file, got, f"shape {tuple(tensor.shape)}")
        if not found[key].is_floating_point():
            raise _misfit(file, f"{key} of {found[key].dtype}", "real numbers")


def _misfit(file: Path, got: str, expected: str) -> CheckpointError:
    remedy = "use the settings of model that the checkpoint was trained with"
    return CheckpointError(file, got=got, expected=expected, remedy=remedy)
