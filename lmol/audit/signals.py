"""Signals of single optimizer steps: loss, accuracy, answers, gradient norm; one transfer each.

P pairs, O orders (1 or 2).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmol.system.distributed import over_processes
from lmol.verdict import SWAPPED, TITLES

NUM = len(TITLES)


@dataclass(frozen=True, kw_only=True)
class StepSignals:
    """One optimizer step: all of its micro-batches together, from all processes.

    loss, cross_entropy, consistency: means over micro-batches, in nats. grad_norm: L2, before
    clipping. answers, labels: counts of each class as answer and as label, over both orders.
    contradictions: pairs whose orders have labels that are not each other's swap. seconds: from
    the end of the previous step until the backward pass was done, without validation and audit;
    the mean over processes, so that all processes reach the same findings.
    """

    step: int
    loss: float
    cross_entropy: float
    consistency: float
    accuracy: float
    grad_norm: float
    seconds: float
    pairs: int
    contradictions: int
    answers: tuple[int, ...]
    labels: tuple[int, ...]


class StepSums:
    """Running sums of one optimizer step, kept on the device until `read`."""

    def __init__(self) -> None:
        self.grad_norm: Tensor | float = 0.0
        """L2 norm of all gradients before clipping; set by the Trainer."""
        self.tensor_norms: Tensor | None = None
        """Norm of each trained tensor before clipping; read only if a number is not finite."""
        self._sums: Tensor | None = None
        self._batches = 0
        self._pairs = 0

    def add(self, terms: Sequence[Tensor], logits: Tensor, labels: Tensor) -> None:
        """Add a micro-batch: logits (P, O, 3), labels (P, O).

        terms: loss, cross-entropy, consistency.
        """
        kinds = torch.arange(NUM, device=logits.device)
        answers = logits.detach().argmax(-1)
        wrong = torch.zeros((), device=logits.device)
        if labels.shape[1] > 1:
            swapped = torch.tensor(SWAPPED, device=labels.device)[labels[:, 0]]
            wrong = (labels[:, 1] != swapped).sum()
        parts = (
            torch.stack([term.detach().float() for term in terms]),
            torch.stack([(answers == labels).sum(), wrong]),
            (answers.unsqueeze(-1) == kinds).sum((0, 1)),
            (labels.unsqueeze(-1) == kinds).sum((0, 1)),
        )
        sums = torch.cat([part.to(torch.float32) for part in parts])
        self._sums = sums if self._sums is None else self._sums + sums
        self._batches += 1
        self._pairs += len(logits)

    def read(self, step: int, began: float) -> StepSignals:
        """Return the step's signals in one transfer from the device, and reset the sums.

        began: from time.monotonic(); the seconds include the wait for pending work of the device.
        """
        assert self._sums is not None, "a step has at least one micro-batch"
        norm = torch.as_tensor(self.grad_norm, dtype=torch.float32, device=self._sums.device)
        sizes = torch.tensor([self._batches, self._pairs], device=self._sums.device)
        sums = over_processes(torch.cat([self._sums, sizes]), "sum")
        loss, entropy, consistency, right, wrong, *counts, batches, pairs, found = torch.cat(
            [sums, norm.reshape(1)]
        ).tolist()
        answers, labels = tuple(map(int, counts[:NUM])), tuple(map(int, counts[NUM:]))
        seconds = torch.tensor(time.monotonic() - began, device=self._sums.device)
        self._sums, self._batches, self._pairs = None, 0, 0
        return StepSignals(
            step=step,
            loss=loss / batches,
            cross_entropy=entropy / batches,
            consistency=consistency / batches,
            accuracy=right / max(sum(labels), 1),
            grad_norm=found,
            seconds=float(over_processes(seconds, "mean")),
            pairs=int(pairs),
            contradictions=int(wrong),
            answers=answers,
            labels=labels,
        )


class History:
    """Steps so far. A rollback restarts the windows; the list of all steps continues."""

    def __init__(self) -> None:
        self.steps: list[StepSignals] = []
        self.skipped: set[int] = set()
        """Steps that were skipped for any reason."""
        self.overflowed: set[int] = set()
        """Steps among them that were lost to fp16 overflow."""
        self._start = 0

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps": [list(astuple(signals)) for signals in self.steps],
            "skipped": sorted(self.skipped),
            "overflowed": sorted(self.overflowed),
            "start": self._start,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        names = [field.name for field in fields(StepSignals)]
        rows = [dict(zip(names, row, strict=True)) for row in state["steps"]]
        for row in rows:
            row |= {name: tuple(row[name]) for name in ("answers", "labels")}
        self.steps = [StepSignals(**row) for row in rows]
        self.skipped, self.overflowed = set(state["skipped"]), set(state["overflowed"])
        self._start = state["start"]

    def restart(self) -> None:
        """Start new windows after the present step."""
        self._start = len(self.steps)

    def last(self, num: int, *, after: int = 0) -> list[StepSignals]:
        """Return at most `num` last steps since the restart that come after step `after`."""
        recent = self.steps[max(self._start, len(self.steps) - num) :]
        return [signals for signals in recent if signals.step > after]

    def num_overflowed(self, after: int) -> int:
        """Return the number of steps after step `after` that were lost to fp16 overflow."""
        return sum(step > after for step in self.overflowed)


def values(steps: Sequence[StepSignals], name: str) -> NDArray[np.float64]:
    """Return one signal over steps: shape (steps,), or (steps, 3) for answers and labels."""
    return np.array([getattr(signals, name) for signals in steps], dtype=np.float64)
