"""The keys of the typed tree, their meaning, and the nearest valid one to a typo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple, get_type_hints

from lmol.config.schema import Config, Target


class Setting(NamedTuple):
    """A key's type and its one-line description, if it has one."""

    hint: Any
    meaning: str | None


def settings_below(kind: Any, prefix: str) -> Iterator[tuple[str, Setting]]:
    """Yield the dotted keys below a dataclass, each node before its own keys."""
    described = getattr(kind, "__pydantic_fields__", {})
    for name, hint in get_type_hints(kind).items():
        meaning = described[name].description if name in described else None
        yield prefix + name, Setting(hint, meaning)
        if is_dataclass(hint):
            yield from settings_below(hint, f"{prefix}{name}.")


@cache
def tree_keys() -> dict[str, Setting]:
    """Return every dotted key of the configuration, each node before its own keys."""
    return dict(settings_below(Config, ""))


def target_keys() -> list[str]:
    """Return the dotted keys of the swappable nodes."""
    return [key for key, setting in tree_keys().items() if setting.hint == Target]


def group_of(values: Any, key: str) -> tuple[dict[str, Any], str]:
    """Return the group that holds a dotted key in nested values, and the key's name in it.

    The group is empty if the values have no such group.
    """
    *groups, name = key.split(".")
    for group in groups:
        values = values.get(group) if isinstance(values, dict) else None
    return (values if isinstance(values, dict) else {}), name


def is_known(key: str) -> bool:
    """Return whether a key is in the tree, or below a swappable node, whose class checks it."""
    return key in tree_keys() or any(key.startswith(f"{target}.") for target in target_keys())


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the valid word that was most likely meant; the last part of a key is enough."""
    words = list(words)
    last = word.rpartition(".")[2]
    same_last = [candidate for candidate in words if candidate.rpartition(".")[2] == last]
    close = get_close_matches(word, words, n=1)
    return same_last[0] if len(same_last) == 1 else next(iter(close), None)


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return the remedy for an unknown word: the nearest valid word or, if none is near, all."""
    words = sorted(words)
    found = nearest(word, words)
    top = [candidate for candidate in words if "." not in candidate]
    return f"did you mean {found}?" if found else f"choose among {', '.join(top or words)}"
