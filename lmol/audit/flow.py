"""Data for a picture of the gradient flow: tensors grouped into columns, and the axes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmol.audit.record import Table
from lmol.model.names import short_name

BESIDE = {"lora_A": -0.14, "lora_B": 0.14, "projector": 0.0}
"""Horizontal offset of a group from its column; 0 for other groups."""


def grouped(table: Table) -> tuple[list[str], dict[str, pd.DataFrame]]:
    """Return the column names of the picture, and each group's points: one row per column.

    A column of the picture is a numbered layer, or a module outside the numbered layers. Points: x,
    sizes of elements (mean, largest), L2 norms (norm, clipped), and missing (a missing gradient).
    """
    group = table["group"]
    names = [_column(str(name), at) for name, at in zip(table["name"], table["layer"], strict=True)]
    columns = list(dict.fromkeys(names))
    sizes = {
        name: np.nan_to_num(table[name].astype(float), nan=0.0)
        for name in ("mean_abs", "max_abs", "norm", "norm_clipped")
    }
    x = [columns.index(name) + BESIDE.get(of, 0.0) for name, of in zip(names, group, strict=True)]
    tensors = pd.DataFrame({**sizes, "missing": table["missing"], "group": group, "x": x})
    points = tensors.groupby(["group", "x"], as_index=False).agg(
        mean=("mean_abs", "mean"),
        largest=("max_abs", "max"),
        norm=("norm", np.linalg.norm),
        clipped=("norm_clipped", np.linalg.norm),
        missing=("missing", "any"),
    )
    order = sorted(set(group), key=[*BESIDE, *group].index)
    return columns, {name: points[points["group"] == name] for name in order}


def _column(name: str, layer: int | None) -> str:
    if layer is not None:
        return str(layer)
    parts = short_name(name).split(".")
    return parts[min(1, len(parts) - 1)]


Limits = tuple[float, float]


def common_norm(norms: NDArray[Any]) -> float:
    return float(np.linalg.norm(np.nan_to_num(norms.astype(float), nan=0.0, posinf=0.0)))


def decades(values: Iterable[pd.Series], further: tuple[float, ...] = ()) -> Limits:
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
