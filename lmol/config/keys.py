"""The keys of the typed tree, their meaning, and the nearest valid one to a typo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, get_type_hints

from lmol.config.schema import Config, Target


@cache
def tree_keys() -> dict[str, Any]:
    """Return every dotted key with its type, each node before its own keys."""
    return dict(_below(Config, ""))


def _below(kind: type, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, hint in get_type_hints(kind).items():
        yield prefix + name, hint
        if is_dataclass(hint):
            yield from _below(hint, f"{prefix}{name}.")  # type: ignore[arg-type]


def settings_below(kind: Any, prefix: str) -> Iterator[tuple[str, str | None]]:
    """Yield dotted keys below a dataclass with their description, each node before its own keys."""
    described = getattr(kind, "__pydantic_fields__", {})
    for name, hint in get_type_hints(kind).items():
        yield prefix + name, described[name].description if name in described else None
        if is_dataclass(hint):
            yield from settings_below(hint, f"{prefix}{name}.")


def target_keys() -> list[str]:
    """Return the dotted keys of the swappable nodes."""
    return [key for key, hint in tree_keys().items() if hint == Target]


def meaning(key: str) -> str | None:
    """Return the schema's one-line description of a key; None if it has none."""
    parent, _, name = key.rpartition(".")
    kind: Any = tree_keys()[parent] if parent else Config
    description: str | None = kind.__pydantic_fields__[name].description
    return description


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
