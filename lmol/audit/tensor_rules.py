"""Rules about gradients and updates of single tensors. Each reports a problem and its places."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lmol.audit.record import STARTED, AuditRecord, Table
from lmol.model.names import short_name

Observation = tuple[str, tuple[str, ...]]
"""A problem as a clause, and the places where it was found."""

FEWEST_LAYERS = 4
"""Minimum number of layers for a trend against depth."""


LEAST_RATE = 0.005
"""Share of the peak learning rate below which an update may be too small to be visible."""


def missing_gradient(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report tensors whose gradient is None: never computed, which differs from zero."""
    if not record.skipped:
        yield from _several(
            record.gradients, record.gradients["missing"], threshold, "have no gradient"
        )


def zero_gradient(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report tensors with a computed gradient of zero, except a lora_A that waits for its B."""
    zero = record.gradients["norm"] <= record.assert_tiny
    yield from _several(
        record.gradients, zero & ~record.waiting(STARTED), threshold, "have a gradient of zero"
    )


def broken_gradient(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report NaN and Inf in gradients; they are expected in a step lost to fp16 overflow."""
    broken = record.gradients["nan"] + record.gradients["inf"]
    count = float(np.nansum(broken))
    if count > threshold and not record.overflowed:
        places = _places(record.gradients, broken > 0)
        yield f"{count:.0f} gradient elements are NaN or infinite", places


def vanishing_depth(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report gradients that shrink on their way back to the first layers."""
    first, last = _ends(record.gradients)
    if first > 0 and last / first > threshold:
        yield f"LoRA gradients of the last layers are {last / first:.3g} times the first's", ()


def exploding_depth(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report gradients that grow on their way back to the first layers."""
    first, last = _ends(record.gradients)
    if last > 0 and first / last > threshold:
        yield f"LoRA gradients of the first layers are {first / last:.3g} times the last's", ()


def projector_dominates(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report a projector that dominates the common norm by which gradients are clipped."""
    projector = record.gradients["group"] == "projector"
    norms = np.nan_to_num(record.gradients["norm"].astype(float))
    own, lora = (float(np.linalg.norm(norms[part])) for part in (projector, ~projector))
    if lora > 0 and own / lora > threshold:
        yield f"the projector's gradient norm is {own / lora:.3g} times that of LoRA", ()


def unmoved_weights(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report trained tensors that a step with a learning rate above 0 did not change."""
    if record.skipped or record.rate_share < LEAST_RATE:
        return
    updates = record.updates
    still = (updates["unchanged_share"] == 1) & ~record.waiting() & (updates["learning_rate"] > 0)
    yield from _several(updates, still, threshold, "were not moved by the step")


def zero_learning_rate(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report trained tensors with a learning rate of 0, or unknown to the optimizer."""
    zero = record.updates["learning_rate"] == 0
    yield from _several(record.updates, zero, threshold, "have a learning rate of 0")


def lost_updates(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report elements that have a gradient but did not change: the update was rounded away.

    The rule does not apply when the schedule is near its end.
    """
    if record.rate_share < LEAST_RATE:
        return
    share = record.updates["lost_share"].astype(float)
    partly = (share > threshold) & (record.updates["unchanged_share"] < 1)
    if partly.any():
        message = f"up to {share[partly].max():.0%} of the elements with a gradient did not change"
        yield message, _places(record.updates, partly)


def large_updates(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report updates as large as the weights; lora_B and biases start at zero and are left out."""
    ratio = record.updates["ratio"].astype(float)
    matrices = np.array(["x" in str(shape) for shape in record.updates["shape"]])
    large = (ratio > threshold) & matrices & (record.updates["group"] != "lora_B")
    if large.any():
        places = _places(record.updates, large)
        yield f"one step changed weights by up to {ratio[large].max():.3g} times their size", places


def _several(
    table: Table, wrong: NDArray[np.bool_], threshold: float, what: str
) -> Iterator[Observation]:
    num = int(wrong.sum())
    if num > threshold:
        yield f"{num} of {len(wrong)} trained tensors {what}", _places(table, wrong)


def _places(table: Table, wrong: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(short_name(str(name)) for name in table["name"][wrong])


def _ends(table: Table) -> tuple[float, float]:
    """Return the mean gradient norms of the first and last quarter of layers, or 0, 0 if few."""
    norms = layer_norms(table)
    if len(norms) < FEWEST_LAYERS or not np.isfinite(norms).all():
        return 0.0, 0.0
    quarter = max(1, len(norms) // 4)
    return float(norms[:quarter].mean()), float(norms[-quarter:].mean())


def layer_norms(table: Table) -> NDArray[np.float64]:
    """Return the L2 gradient norm of each layer's adapters, first layer first."""
    layers = sorted({int(layer) for layer in table["layer"] if layer is not None})
    norms = np.nan_to_num(table["norm"].astype(float), nan=0.0)
    return np.array([np.linalg.norm(norms[table["layer"] == layer]) for layer in layers])
