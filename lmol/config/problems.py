"""Translation of pydantic's errors into ours: dotted key, nearest valid key, remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lmol.config.keys import Setting, did_you_mean
from lmol.errors import LmolError

UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
MISSING = ("missing", "missing_argument", "missing_keyword_only_argument")


def problems_of(
    error: ValidationError, values: object, prefix: str, valid: Mapping[str, Setting]
) -> list[LmolError]:
    """Return one error for each wrong key.

    values: the validated values; prefix: start of their keys in the configuration, with the dot;
    valid: all dotted keys, to find the nearest and to describe the wrong one.
    """
    grouped: dict[str, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        grouped.setdefault(prefix + _key(detail["loc"], values), []).append(detail)
    return [_problem(key, details, valid) for key, details in grouped.items()]


def _key(location: tuple[int | str, ...], values: object) -> str:
    """Return the dotted key without the type name that pydantic adds if a key has several types."""
    parts = []
    for depth, part in enumerate(location):
        known = isinstance(values, Mapping | list)
        if not known or (isinstance(values, list) and not isinstance(part, int)):
            break
        parts.append(str(part))
        values = _child(values, part) if depth < len(location) - 1 else None
    return ".".join(parts)


def _child(values: Any, part: int | str) -> Any:
    return values.get(part) if isinstance(values, Mapping) else values[int(part)]


def _problem(key: str, details: list[ErrorDetails], valid: Mapping[str, Setting]) -> LmolError:
    kind = details[0]["type"]
    if kind in UNKNOWN:
        return unknown_key(key, valid)
    expected = " or ".join(_expected(detail) for detail in details)
    meaning = valid[key].meaning if key in valid else None
    remedy = f"set {key}" + (f": {meaning}" if meaning else "")
    if kind in MISSING:
        return LmolError(key, got="nothing", expected="a value", remedy=remedy)
    return LmolError(key, got=repr(details[0]["input"]), expected=expected, remedy=remedy)


def unknown_key(key: str, valid: Iterable[str]) -> LmolError:
    """Return the error about a key that no part of the configuration knows."""
    return LmolError(
        key, got="an unknown key", expected="a key that exists", remedy=did_you_mean(key, valid)
    )


def _expected(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return message.replace("an object", "a group of keys")
