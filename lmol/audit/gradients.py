"""Gradients of single tensors, measured where they are.

n tensors. Statistics are of the gradient before clipping, in the loss's nats a unit of the weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.linalg import vector_norm

from lmol.audit.parameters import AuditedTensor

STATISTICS = ("norm", "mean", "mean_abs", "max_abs", "nonzero", "nan", "inf", "underflow")
QUANTILES = {"median_abs": 0.5, "p99_abs": 0.99}
SAMPLE = 2**16
"""Elements that quantiles are taken of, evenly spread."""


def measure_gradients(
    tensors: Sequence[AuditedTensor], scale: float, half: torch.dtype, *, full: bool
) -> Tensor:
    """Statistics (n, K) on the device; a row of NaN where a tensor has no gradient.

    scale: of the loss (fp16), which is divided out; half: the type whose underflow is counted.
    """
    num = len(STATISTICS) + (len(QUANTILES) if full else 0)
    rows = [
        torch.full((num,), torch.nan, device=tensor.parameter.device)
        if tensor.parameter.grad is None
        else _of_gradient(tensor.parameter.grad.detach().float(), scale, half, full=full)
        for tensor in tensors
    ]
    return torch.stack(rows)


def _of_gradient(scaled: Tensor, scale: float, half: torch.dtype, *, full: bool) -> Tensor:
    gradient = scaled / scale if scale != 1 else scaled
    sizes = gradient.abs()
    parts = [
        vector_norm(gradient),
        gradient.mean(),
        sizes.mean(),
        sizes.max(),
        torch.count_nonzero(gradient),
        torch.isnan(gradient).sum(),
        torch.isinf(gradient).sum(),
        ((scaled.to(half) == 0) & (scaled != 0)).sum(),
    ]
    row = torch.stack([part.float() for part in parts])
    if not full:
        return row
    sample = sizes.flatten()[:: max(1, sizes.numel() // SAMPLE)]
    wanted = torch.tensor(list(QUANTILES.values()), device=sample.device)
    return torch.cat([row, torch.quantile(sample, wanted)])


def gradient_norms(tensors: Sequence[AuditedTensor]) -> Tensor:
    """L2 norms (n,) on the device; 0 where there is no gradient."""
    return torch.stack(
        [
            torch.zeros((), device=tensor.parameter.device)
            if tensor.parameter.grad is None
            else vector_norm(tensor.parameter.grad.detach(), dtype=torch.float32)
            for tensor in tensors
        ]
    )


def gradient_table(
    tensors: Sequence[AuditedTensor], statistics: NDArray[np.float64], clipped: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """Columns of grad_table: statistics (n, K) of measure_gradients, clipped norms (n,)."""
    counts = np.array([tensor.parameter.numel() for tensor in tensors], dtype=float)
    found = dict(zip((*STATISTICS, *QUANTILES), statistics.T, strict=False))
    nonzero = found.pop("nonzero")
    with np.errstate(invalid="ignore", divide="ignore"):
        shares: Mapping[str, NDArray[Any]] = {
            "rms": found["norm"] / np.sqrt(counts),
            "zero_share": 1 - nonzero / counts,
            "underflow_share": found.pop("underflow") / np.maximum(nonzero, 1),
        }
    missing = np.isnan(statistics).all(axis=1)
    return {
        "name": np.array([tensor.name for tensor in tensors], dtype=object),
        **places(tensors),
        "missing": missing,
        "norm": found.pop("norm"),
        "norm_clipped": np.where(missing, np.nan, clipped),
        **found,
        **shares,
    }


def places(tensors: Sequence[AuditedTensor]) -> dict[str, NDArray[Any]]:
    """The columns that tell where a tensor belongs: group, layer (empty: the projector), shape."""
    shapes = ["x".join(map(str, tensor.parameter.shape)) for tensor in tensors]
    return {
        "group": np.array([tensor.group for tensor in tensors], dtype=object),
        "layer": np.array([tensor.layer for tensor in tensors], dtype=object),
        "shape": np.array(shapes, dtype=object),
    }
