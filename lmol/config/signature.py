"""A configuration as plain values, and the signature by which an experiment is known again."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from lmol.config.schema import Config

WITHOUT_EFFECT = (
    ("name",),
    ("debug",),
    ("threads",),
    ("tracking",),
    ("train", "workers"),
    ("train", "log_every"),
)
"""Settings that change what is shown or how fast it comes, and never what is computed."""


@cache
def _adapter() -> TypeAdapter[Config]:
    return TypeAdapter(Config)


def as_dict(config: Config) -> dict[str, Any]:
    """All values, as JSON and YAML know them; choices by name."""
    values: dict[str, Any] = _adapter().dump_python(config, mode="json")
    return values


def signature(config: Config) -> str:
    """SHA-256 (hexadecimal) of the full resolved configuration, less what has no effect."""
    values = as_dict(config)
    for *groups, key in WITHOUT_EFFECT:
        holder = values
        for group in groups:
            holder = holder[group]
        del holder[key]
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
