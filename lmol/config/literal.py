"""Texts that OmegaConf reads as they stand, although they look like interpolations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

INTERPOLATION = re.compile(r"(\\*)\$\{")


def literal(value: Any) -> Any:
    """Return a value whose texts OmegaConf does not resolve: a backslash before each ${.

    A text such as ${oc.env:HF_TOKEN} in the file of a run is thus a text, and reads no environment.
    """
    if isinstance(value, str):
        return INTERPOLATION.sub(lambda found: f"{found[1] * 2}\\${{", value)
    if isinstance(value, Mapping):
        return {key: literal(item) for key, item in value.items()}
    return [literal(item) for item in value] if isinstance(value, list) else value
