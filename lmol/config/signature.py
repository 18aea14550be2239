"""Plain values of a configuration, and the signature that identifies an experiment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
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
    "data.outside",
    "train.workers",
    "train.log_every",
    "train.save_every",
    "train.max_minutes",
    "resume",
)
"""Keys and groups that change the display or the speed, and never a result."""

SHOWN_DIFFERENCES = 5


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


def differences(one: Mapping[str, Any], other: Mapping[str, Any], owner: str) -> list[str]:
    """Return the keys with an effect that differ, with both values; if they are many, the first.

    owner: of the first values, in words.
    """
    mine, others = (dict(flat(with_effect(dict(values)))) for values in (one, other))
    found = [
        f"{key} {other_value} where {owner} has {value}"
        for key in {**mine, **others}
        if (value := mine.get(key, "nothing")) != (other_value := others.get(key, "nothing"))
    ]
    return [*found[:SHOWN_DIFFERENCES], *(["..."] if len(found) > SHOWN_DIFFERENCES else [])]


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and their values; a list, or an empty mapping, is a value."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
