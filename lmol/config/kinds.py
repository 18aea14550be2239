"""Kinds of classes that swappable nodes expect, recognised by the methods that the program calls.

The classes are compared by names, so that no heavy library is imported for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lmol.errors import LmolError


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of class. means: in words; base: full name of a class that it extends, or empty.

    methods: their names and, where two kinds share a name, the type that the method returns.
    """

    means: str
    methods: Mapping[str, str | None] = field(default_factory=dict)
    base: str = ""

    def lacks(self, found: type) -> list[str]:
        """Return what a class lacks to be of this kind."""
        missing = [name for name in self.methods if _method(found, name) is None]
        others = [
            f"{name} -> {wanted}"
            for name, wanted in self.methods.items()
            if name not in missing and wanted and _returned(found, name) not in (None, wanted)
        ]
        ancestors = [f"{one.__module__}.{one.__qualname__}" for one in found.__mro__]
        bases = [self.base] if self.base and self.base not in ancestors else []
        return [*missing, *others, *bases]


KINDS = {
    "data.source": Kind(means="a source of images, with load", methods={"load": "DataSet"}),
    "data.schedule": Kind(
        means="a policy of pairs, with num_dropped, training and evaluation",
        methods=dict.fromkeys(("num_dropped", "training", "evaluation")),
    ),
    "model": Kind(
        means="settings of a model, with build, problems and relocated",
        methods=dict.fromkeys(("build", "problems", "relocated")),
    ),
    "model.backbone": Kind(means="a base model, with load", methods={"load": "Base"}),
    "model.encoder": Kind(
        means="a frozen encoder of images, with load", methods={"load": "PooledEncoder"}
    ),
    "train.trainer": Kind(
        means="a subclass of the Trainer of transformers", base="transformers.trainer.Trainer"
    ),
    "train.collator": Kind(means="a class of callable objects", methods={"__call__": None}),
}
"""Kinds by the dotted key of their swappable node."""


def kind_problem(key: str, name: str, found: type) -> LmolError | None:
    """Return the error about a class that is not of the kind that its place expects, or None."""
    kind = KINDS.get(key)
    lacks = kind.lacks(found) if kind else []
    if kind is None or not lacks:
        return None
    return LmolError(
        f"{key}._target_",
        got=f"{name}, a class of another kind: it lacks {', '.join(lacks)}",
        expected=kind.means,
        remedy="name a class of this kind, as the files in conf/ do",
    )


def _method(found: type, name: str) -> Any:
    """Return a method that a class defines or inherits; every class can be called, so look deep."""
    holders = [vars(one) for one in found.__mro__ if name in vars(one)]
    return holders[0][name] if holders else None


def _returned(found: type, name: str) -> str | None:
    """Return the name of the type that a method is annotated to return; None if it is not."""
    hint = getattr(_method(found, name), "__annotations__", {}).get("return")
    text = hint if isinstance(hint, str) or hint is None else getattr(hint, "__name__", None)
    return None if text is None else text.strip("'\"").rpartition(".")[2]
