"""Signals of a step are sums over its micro-batches, and windows begin anew after a rollback."""

import time
from typing import Any

import pytest
import torch

from lmol.audit.signals import History, StepSignals, StepSums, values


def add(sums, loss, answers, targets):
    logits = torch.nn.functional.one_hot(torch.tensor(answers), 3).float()
    terms = [torch.tensor(loss), torch.tensor(loss / 2), torch.tensor(loss / 4)]
    sums.add(terms, logits, torch.tensor(targets))


def test_micro_batches_are_one_step():
    sums = StepSums()
    add(sums, 1.0, [[0, 1], [2, 2]], [[0, 1], [1, 0]])
    add(sums, 3.0, [[1, 1], [0, 0]], [[2, 2], [0, 0]])
    sums.grad_norm = torch.tensor(7.0)
    step = sums.read(5, began=time.monotonic() - 0.25)
    assert (step.step, step.pairs, step.grad_norm) == (5, 4, 7.0)
    assert step.seconds == pytest.approx(0.25, abs=0.05)
    assert (step.loss, step.cross_entropy, step.consistency) == (2.0, 1.0, 0.5)
    assert step.accuracy == 4 / 8
    assert step.answers == (3, 3, 2)
    assert step.labels == (4, 2, 2)
    assert step.contradictions == 1  # the last pair's orders are both First


def test_sums_begin_anew_when_they_were_read():
    sums = StepSums()
    add(sums, 1.0, [[0, 1]], [[0, 1]])
    sums.read(1, 0.0)
    add(sums, 5.0, [[0, 1]], [[1, 0]])
    step = sums.read(2, 0.0)
    assert (step.loss, step.accuracy, step.pairs) == (5.0, 0.0, 1)


def test_one_order_has_nothing_to_contradict():
    sums = StepSums()
    add(sums, 1.0, [[0], [1]], [[0], [0]])
    step = sums.read(1, 0.0)
    assert (step.contradictions, step.accuracy) == (0, 0.5)


def signals(step: int, **changes: object) -> StepSignals:
    known: dict[str, Any] = {
        "loss": 1.0, "cross_entropy": 1.0, "consistency": 0.0, "accuracy": 0.5, "grad_norm": 1.0,
        "seconds": 0.1, "pairs": 16, "contradictions": 0, "answers": (16, 8, 8),
        "labels": (12, 10, 10),
    }  # fmt: skip
    return StepSignals(step=step, **{**known, **changes})


def test_windows_are_of_the_last_steps_since_the_restart():
    history = History()
    for step in range(1, 11):
        history.steps.append(signals(step))
    assert [s.step for s in history.last(3)] == [8, 9, 10]
    assert [s.step for s in history.last(5, after=8)] == [9, 10]
    history.restart()
    assert history.last(3) == []
    history.steps.append(signals(11))
    assert [s.step for s in history.last(3)] == [11]
    assert len(history.steps) == 11
    history.overflowed |= {3, 9}
    assert (history.num_overflowed(0), history.num_overflowed(3)) == (2, 1)


def test_values_keep_what_is_not_finite():
    found = values([signals(1), signals(2, loss=float("nan"))], "loss")
    assert found[0] == pytest.approx(1.0)
    assert found[1] != found[1]
