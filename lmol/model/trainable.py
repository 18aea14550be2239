"""Tables of the trained tensors."""

from __future__ import annotations

import pandas as pd
from torch import nn

from lmol.model.names import WRAPPED, tensor_group


def trainable_table(model: nn.Module) -> pd.DataFrame:
    """Return one row per trainable tensor: name, shape (as text), group, count (numbers in it)."""
    rows = [
        (name, "x".join(map(str, parameter.shape)), tensor_group(name), parameter.numel())
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    ]
    return pd.DataFrame(rows, columns=["name", "shape", "group", "count"])


def trainable_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return the trainable table with equal layers in one row; `tensors` is their number."""
    names = table["name"].str.removeprefix(WRAPPED).str.replace(r"\.\d+\.", ".*.", regex=True)
    folded = table.assign(name=names)
    by = folded.groupby(["name", "shape", "group"], sort=False)
    return by["count"].agg(tensors="size", count="sum").reset_index()
