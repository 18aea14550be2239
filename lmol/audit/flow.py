"""Data for a picture of the gradient flow: tensors grouped into columns, and the axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmol.audit.record import Table
from lmol.model.names import short_name

BESIDE = {"lora_A": -0.14, "lora_B": 0.14, "projector": 0.0}
"""Horizontal offset of a group from its column; 0 for other groups."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """Points of one colour: by layer, the sizes of elements and the norms."""

    x: NDArray[np.float64]
    mean: NDArray[np.float64]
    largest: NDArray[np.float64]
    norm: NDArray[np.float64]
    clipped: NDArray[np.float64]
    missing: NDArray[np.bool_]


NOTHING = np.zeros(0)
EMPTY = Group(
    x=NOTHING, mean=NOTHING, largest=NOTHING, norm=NOTHING, clipped=NOTHING,
    missing=np.zeros(0, bool),
)  # fmt: skip


def grouped(table: Table) -> tuple[list[str], dict[str, Group]]:
    """Return the column names of the picture, and the points of each group in the columns.

    A column is a numbered layer, or a module outside the numbered layers.
    """
    names = [
        _column(str(name), layer) for name, layer in zip(table["name"], table["layer"], strict=True)
    ]
    columns = list(dict.fromkeys(names))
    groups = {}
    for group in sorted(set(table["group"]), key=[*BESIDE, *table["group"]].index):
        mine, offset = table["group"] == group, BESIDE.get(group, 0.0)
        groups[group] = _group(table, np.array(names, dtype=object), columns, mine, offset)
    return columns, groups


def _column(name: str, layer: int | None) -> str:
    if layer is not None:
        return str(layer)
    parts = short_name(name).split(".")
    return parts[min(1, len(parts) - 1)]


def _group(
    table: Table, names: NDArray[Any], columns: list[str], mine: NDArray[np.bool_], offset: float
) -> Group:
    here = [column for column in columns if (mine & (names == column)).any()]
    rows = [mine & (names == column) for column in here]

    def summed(column: str, how: Any) -> NDArray[np.float64]:
        found = np.nan_to_num(table[column].astype(float), nan=0.0)
        return np.array([how(found[row]) for row in rows])

    return Group(
        x=np.array([columns.index(column) + offset for column in here]),
        mean=summed("mean_abs", np.mean),
        largest=summed("max_abs", np.max),
        norm=summed("norm", np.linalg.norm),
        clipped=summed("norm_clipped", np.linalg.norm),
        missing=np.array([bool(table["missing"][row].any()) for row in rows]),
    )


Limits = tuple[float, float]


def common_norm(norms: NDArray[Any]) -> float:
    return float(np.linalg.norm(np.nan_to_num(norms.astype(float), nan=0.0, posinf=0.0)))


def decades(values: list[NDArray[np.float64]], further: tuple[float, ...] = ()) -> Limits:
    """Return whole decades around all positive, finite values, plus one decade at each end."""
    known = np.concatenate([*values, np.array(further)])
    known = known[np.isfinite(known) & (known > 0)]
    if not len(known):
        return 1e-8, 1.0
    return (
        10.0 ** (math.floor(math.log10(known.min())) - 1),
        10.0 ** (math.ceil(math.log10(known.max())) + 1),
    )


def within(inner: tuple[Limits, Limits], outer: tuple[Limits, Limits] | None) -> bool:
    """Return True if new values fit the axes; they may use the spare decade."""
    return outer is not None and all(
        new[0] * 10 >= old[0] and new[1] / 10 <= old[1]
        for new, old in zip(inner, outer, strict=True)
    )


def joined(new: tuple[Limits, Limits], old: tuple[Limits, Limits] | None) -> tuple[Limits, Limits]:
    if old is None:
        return new
    first, second = ((min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(new, old, strict=True))
    return first, second
