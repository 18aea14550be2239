"""Checkpoints: adapter and projector in one set of tensors, written whole, read whole or refused.

A folder holds adapter_model.safetensors and adapter_config.json as PEFT writes them, the processor,
and meta.json. PEFT's own loading passes over missing and unknown tensors; here the sets must agree.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from peft import set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lmol.config.signals import held
from lmol.errors import CheckpointError
from lmol.model.adapter import checkpoint_tensors
from lmol.model.comparer import Comparer
from lmol.model.fingerprint import base_fingerprint
from lmol.tracking.files import follow_umask
from lmol.tracking.formats import FORMAT, KEY, require_format

WEIGHTS = "adapter_model.safetensors"
META = "meta.json"


def save_checkpoint(comparer: Comparer, folder: Path, meta: dict[str, Any]) -> None:
    """Write a checkpoint beside its place, then move it there; an older one is replaced.

    meta: facts of the run (metric, step, ...), kept in meta.json with the comparer's recipe, the
    fingerprint of its base and the list of keys. Raises CheckpointError, with nothing written,
    where a number is not finite.
    """
    _require_finite(folder, checkpoint_tensors(comparer.adapted))
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with held():
        try:
            _write(comparer, partial, meta)
            _replace(partial, folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _write(comparer: Comparer, partial: Path, meta: dict[str, Any]) -> None:
    comparer.adapted.save_pretrained(
        str(partial), safe_serialization=True, save_embedding_layers=False
    )
    (partial / "README.md").unlink(missing_ok=True)
    comparer.base.processor.save_pretrained(partial)
    facts = {
        KEY: FORMAT,
        **meta,
        "comparer": comparer.recipe,
        "base": base_fingerprint(comparer.base.model),
        "keys": sorted(checkpoint_tensors(comparer.adapted)),
    }
    (partial / META).write_text(json.dumps(facts, indent=2) + "\n")
    follow_umask(partial)


def _require_finite(folder: Path, tensors: dict[str, Tensor]) -> None:
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(
            folder,
            got=f"{len(broken)} tensor(s) with numbers that are not finite, {broken[0]} first",
            expected="finite weights: a checkpoint that holds others is of no use",
            remedy="lower the learning rates, or set optim.grad_clip",
        )


def _replace(partial: Path, folder: Path) -> None:
    older = folder.with_name(f".{folder.name}.older")
    shutil.rmtree(older, ignore_errors=True)
    if folder.exists():
        folder.rename(older)
    partial.rename(folder)
    shutil.rmtree(older, ignore_errors=True)


def load_checkpoint(comparer: Comparer, folder: Path) -> dict[str, Any]:
    """Read a checkpoint's tensors into a comparer and return its meta.json.

    Raises CheckpointError, before any weight is changed, where a tensor is missing, extra or of
    another shape, or was trained on another base.
    """
    facts = read_meta(folder)
    tensors = _read_tensors(folder)
    expected = checkpoint_tensors(comparer.adapted)
    _check_base(folder, facts, comparer)
    _check_keys(folder, set(expected), set(tensors))
    _check_shapes(folder, expected, tensors)
    set_peft_model_state_dict(comparer.adapted, tensors)
    return facts


def read_meta(folder: Path) -> dict[str, Any]:
    """What meta.json says of a checkpoint; raises CheckpointError where there is none to read."""
    try:
        facts = json.loads((folder / META).read_text())
    except (OSError, ValueError) as error:
        raise unreadable(folder, error) from error
    if not isinstance(facts, dict) or not {"comparer", "base", "keys"} <= facts.keys():
        raise unreadable(folder, f"{META} does not tell comparer, base and keys")
    require_format(folder / META, facts)
    return facts


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise unreadable(folder, error) from error


def unreadable(folder: Path, reason: object) -> CheckpointError:
    """The error about a file of a checkpoint that cannot be read."""
    return CheckpointError(
        folder,
        got=f"no readable checkpoint ({reason})",
        expected=f"{WEIGHTS} and {META} as this version writes them",
        remedy="name a folder checkpoints/best or checkpoints/last of a run",
    )


def _check_base(folder: Path, facts: dict[str, Any], comparer: Comparer) -> None:
    if facts["base"] != base_fingerprint(comparer.base.model):
        weights = facts["comparer"]["model"]["backbone"].get("weights")
        raise CheckpointError(
            folder,
            got=f"a base with other weights than the one it was trained on ({weights})",
            expected="the same base in the same precision",
            remedy="set model.backbone.weights to the folder of that base",
        )


def _check_keys(folder: Path, expected: set[str], found: set[str]) -> None:
    for kind, keys in (("is missing", expected - found), ("holds unknown", found - expected)):
        if keys:
            raise CheckpointError(
                folder / WEIGHTS,
                got=f"a checkpoint that {kind} {len(keys)} tensor(s), {min(keys)} first",
                expected=f"exactly the {len(expected)} trained tensors of this model",
                remedy="use the model and LoRA settings that the checkpoint was trained with",
            )


def _check_shapes(folder: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    for key, tensor in expected.items():
        if found[key].shape != tensor.shape:
            raise CheckpointError(
                folder / WEIGHTS,
                got=f"{key} of shape {tuple(found[key].shape)}",
                expected=f"shape {tuple(tensor.shape)}",
                remedy="use the model and LoRA settings that the checkpoint was trained with",
            )
