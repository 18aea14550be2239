"""Rules about activations, precision and answers of an audited step."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from lmol.audit.activations import PROJECTED, TEXT
from lmol.audit.record import AuditRecord
from lmol.audit.signals import values
from lmol.audit.tensor_rules import Observation
from lmol.verdict import TITLES

FEWEST_STEPS = 5
"""Minimum number of steps since the last audit for a meaningful share of skipped steps."""

FEWEST_ANSWERS = 2048
"""Minimum number of answers after which an answer that never occurs is not due to chance."""


def _flat(*kinds: str, message: str) -> Callable[[AuditRecord, float], Iterator[Observation]]:
    """Return a rule about the share of flat activations of some kinds of module."""

    def rule(record: AuditRecord, threshold: float) -> Iterator[Observation]:
        table = record.activations
        share = table["share"].astype(float)
        wrong = np.isin(table["kind"].astype(str), kinds) & (share > threshold)
        if wrong.any():
            places = tuple(map(str, table["module"][wrong]))
            yield f"up to {share[wrong].max():.1%} of {message}", places

    return rule


dead_relu = _flat("relu", message="a ReLU's outputs are zero")
saturated_sigmoid = _flat("sigmoid", message="a sigmoid's outputs are at the ends of its range")
saturated_tanh = _flat("tanh", message="a tanh's outputs are at the ends of its range")
flat_gelu = _flat(
    "gelu", "quick_gelu", "silu", message="an activation's inputs lie in its flat left tail"
)


def scale_mismatch(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report projected images much larger or smaller than the embeddings of words beside them."""
    images, text = (_mean_rms(record, kind) for kind in (PROJECTED, TEXT))
    if images is None or text is None or min(images, text) <= 0:
        return
    ratio = images / text
    if ratio > threshold or 1 / ratio > threshold:
        yield f"projected images are {ratio:.3g} times as large as text embeddings (RMS)", ()


def _mean_rms(record: AuditRecord, kind: str) -> float | None:
    rows = record.activations["rms"][record.activations["kind"] == kind].astype(float)
    return float(rows.mean()) if len(rows) else None


def residual_overflow(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report activations close to the largest number that their type can hold."""
    table = record.activations
    largest, limit = table["max_abs"].astype(float), table["limit"].astype(float)
    wrong = ~(largest <= threshold * limit) if len(largest) else np.zeros(0, bool)
    if wrong.any():
        message = (
            f"activations reach {largest[wrong].max():.3g} of at most {limit[wrong].max():.3g}"
        )
        yield message, tuple(map(str, table["module"][wrong]))


def collapsed_attention(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report layers whose last position attends to only one position."""
    table = record.activations
    entropy = table["entropy"].astype(float)
    wrong = entropy < threshold
    if wrong.any():
        message = f"attention entropy is down to {entropy[wrong].min():.2%} of the largest"
        yield message, tuple(map(str, table["module"][wrong]))


def skipped_steps(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report steps that were skipped because of fp16 overflow."""
    num = len(record.since)
    if record.precision["scale"] is not None and num >= FEWEST_STEPS:
        share = record.num_overflowed / num
        if share > threshold:
            yield (
                f"{record.num_overflowed} of the last {num} steps overflowed and were skipped",
                (),
            )


def dead_answer(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report an answer that is correct for some of the pairs but never given."""
    labels = values(record.answers, "labels").sum(axis=0)
    answers = values(record.answers, "answers").sum(axis=0)
    if not len(record.answers) or labels.sum() < FEWEST_ANSWERS:
        return
    dead = (answers == 0) & (labels > threshold * labels.sum())
    if dead.any():
        places = tuple(title for title, never in zip(TITLES, dead, strict=True) if never)
        yield f"one answer is not given once in {labels.sum():.0f}", places


def contradictory_orders(record: AuditRecord, threshold: float) -> Iterator[Observation]:
    """Report pairs whose two orders have labels that cannot both be correct."""
    pairs = values(record.since, "pairs").sum()
    wrong = values(record.since, "contradictions").sum()
    if wrong > threshold * pairs:
        yield f"{wrong:.0f} of {pairs:.0f} pairs have orders with labels that contradict", ()
