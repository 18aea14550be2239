"""Plain values of a configuration, and the signature that identifies an experiment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from lmol.config.keys import group_of
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
"""Keys and groups that change the display or the speed, and never a result."""


@cache
def _adapter() -> TypeAdapter[Config]:
    return TypeAdapter(Config)


def as_dict(config: Config) -> dict[str, Any]:
    """Return all values as types of JSON and YAML; choices by name."""
    values: dict[str, Any] = _adapter().dump_python(config, mode="json")
    return values


def signature(config: Config) -> str:
    """Return the SHA-256 (hexadecimal) of the resolved configuration, without WITHOUT_EFFECT."""
    return digest(as_dict(config))


def digest(values: dict[str, Any]) -> str:
    """Return the SHA-256 (hexadecimal) of plain values, without WITHOUT_EFFECT."""
    known = with_effect(values)
    text = json.dumps(known, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def with_effect(values: dict[str, Any]) -> dict[str, Any]:
    """Return a copy without the settings that have no effect on a result."""
    return without(values, WITHOUT_EFFECT)


def without(values: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Return a copy without some dotted keys or groups; missing keys are ignored."""
    kept = deepcopy(dict(values))
    for key in keys:
        group, name = group_of(kept, key)
        group.pop(name, None)
    return kept
