"""A configuration as plain values, and the signature by which an experiment is known again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from lmol.config.schema import Config

WITHOUT_EFFECT = (
    "name",
    "debug",
    "fail_fast",
    "threads",
    "tracking",
    "train.workers",
    "train.log_every",
)
"""Keys and groups that change what is shown or how fast it comes, and never what is computed."""


@cache
def _adapter() -> TypeAdapter[Config]:
    return TypeAdapter(Config)


def as_dict(config: Config) -> dict[str, Any]:
    """All values, as JSON and YAML know them; choices by name."""
    values: dict[str, Any] = _adapter().dump_python(config, mode="json")
    return values


def signature(config: Config) -> str:
    """SHA-256 (hexadecimal) of the full resolved configuration, less what has no effect."""
    return digest(as_dict(config))


def digest(values: dict[str, Any]) -> str:
    """SHA-256 (hexadecimal) of plain values, less what has no effect."""
    known = with_effect(values)
    text = json.dumps(known, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def with_effect(values: dict[str, Any]) -> dict[str, Any]:
    """A copy without the settings that have no effect on what is computed."""
    return without(values, WITHOUT_EFFECT)


def without(values: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """A copy without some dotted keys or groups; a key that it lacks is passed over."""
    kept = deepcopy(dict(values))
    for key in keys:
        *groups, last = key.split(".")
        holder: dict[str, Any] = kept
        for group in groups:
            holder = holder.get(group) or {}
        holder.pop(last, None)
    return kept
