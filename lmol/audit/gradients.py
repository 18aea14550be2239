"""Gradients of single tensors, measured on their device.

n tensors. Statistics describe the gradient before clipping, in nats of the loss per unit of weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.linalg import vector_norm

from lmol.audit.parameters import AuditedTensor

NORMS = (2.0, 1.0)
STATISTICS = ("norm", "sum_abs", "least", "most", "mean", "nonzero", "nan", "finite", "in_half")
QUANTILES = {"median_abs": 0.5, "p99_abs": 0.99}
SAMPLE = 2**16
"""Number of evenly spread elements from which quantiles are computed."""


def measure_gradients(
    tensors: Sequence[AuditedTensor], scale: float, half: torch.dtype, *, full: bool
) -> Tensor:
    """Return statistics (n, K) on the device; a row of NaN for a tensor without a gradient.

    scale: the loss scale (fp16), which is divided out; half: the type whose underflow is counted.
    """
    known = [tensor.parameter.grad for tensor in tensors]
    scaled = [gradient.detach().float() for gradient in known if gradient is not None]
    num = len(STATISTICS) + (len(QUANTILES) if full else 0)
    device = tensors[0].parameter.device
    statistics = torch.full((len(tensors), num), torch.nan, device=device)
    if scaled:
        there = torch.tensor([gradient is not None for gradient in known], device=device)
        statistics[there] = _of_gradients(scaled, scale, half, full=full)
    return statistics


def _of_gradients(scaled: list[Tensor], scale: float, half: torch.dtype, *, full: bool) -> Tensor:
    gradients = scaled if scale == 1 else [gradient / scale for gradient in scaled]
    norms = [torch.stack(torch._foreach_norm(gradients, order)) for order in NORMS]
    rows = [
        torch.stack(
            [
                *torch.aminmax(gradient),
                gradient.mean(),
                torch.count_nonzero(gradient),
                torch.isnan(gradient).sum(),
                torch.isfinite(gradient).sum(),
                torch.count_nonzero(before.to(half)),
            ]
        )
        for gradient, before in zip(gradients, scaled, strict=True)
    ]
    parts = [torch.stack(norms, dim=1), torch.stack(rows).float()]
    if full:
        parts.append(torch.stack([_quantiles(gradient) for gradient in gradients]))
    return torch.cat(parts, dim=1)


def _quantiles(gradient: Tensor) -> Tensor:
    sample = gradient.flatten()[:: max(1, gradient.numel() // SAMPLE)].abs()
    return torch.quantile(sample, torch.tensor(list(QUANTILES.values()), device=sample.device))


def gradient_norms(tensors: Sequence[AuditedTensor]) -> Tensor:
    """Return L2 norms (n,) on the device; 0 for a tensor without a gradient."""
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
    """Return grad_table from the statistics (n, K) of measure_gradients and clipped norms (n,)."""
    counts = np.array([tensor.parameter.numel() for tensor in tensors], dtype=float)
    found = dict(zip((*STATISTICS, *QUANTILES), statistics.T, strict=False))
    missing, nonzero = np.isnan(found["nonzero"]), found["nonzero"]
    return {
        **places(tensors),
        "missing": missing,
        "norm": found["norm"],
        "norm_clipped": np.where(missing, np.nan, clipped),
        "rms": found["norm"] / np.sqrt(counts),
        "mean": found["mean"],
        "mean_abs": found["sum_abs"] / counts,
        "max_abs": np.maximum(-found["least"], found["most"]),
        "zero_share": 1 - nonzero / counts,
        "underflow_share": (nonzero - found["in_half"]) / np.maximum(nonzero, 1),
        "nan": found["nan"],
        "inf": counts - found["finite"] - found["nan"],
        **{name: found[name] for name in QUANTILES if name in found},
    }


def places(tensors: Sequence[AuditedTensor]) -> dict[str, NDArray[Any]]:
    """Return the columns that locate a tensor: name, group, layer (empty: the projector), shape."""
    shapes = ["x".join(map(str, tensor.parameter.shape)) for tensor in tensors]
    return {
        "name": np.array([tensor.name for tensor in tensors], dtype=object),
        "group": np.array([tensor.group for tensor in tensors], dtype=object),
        "layer": np.array([tensor.layer for tensor in tensors], dtype=object),
        "shape": np.array(shapes, dtype=object),
    }
