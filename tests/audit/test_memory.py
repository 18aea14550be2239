"""Bytes are counted by kind, and a batch's size follows from what one pair costs."""

import torch

from lmol.audit.memory import (
    counting_saved,
    largest_batch,
    memory_by_kind,
    phase_memory,
    total_memory,
)
from lmol.audit.parameters import audited_tensors
from tests.tiny import build_tiny


def test_bytes_by_kind_are_those_of_the_tensors():
    comparer = build_tiny(r=4)
    tensors = audited_tensors(comparer)
    optimizer = torch.optim.AdamW([tensor.parameter for tensor in tensors])
    for tensor in tensors:
        tensor.parameter.grad = torch.zeros_like(tensor.parameter)
    optimizer.step()
    kinds = memory_by_kind(comparer, tensors, optimizer)
    trained = sum(t.parameter.numel() * 4 for t in tensors)
    assert kinds["lora"] + kinds["projector"] == kinds["gradients"] == trained
    assert kinds["lora"] == 2 * 4 * 2 * 4 * 64 * 4  # layers, targets, A and B, r x 64, fp32
    assert 2 * trained <= kinds["optimizer_state"] <= 2 * trained + 8 * len(tensors)
    frozen = sum(p.numel() * p.element_size() for p in comparer.parameters() if not p.requires_grad)
    assert kinds["frozen_weights"] == frozen


def saved_bytes(comparer, pairs):
    features = torch.randn(pairs, 2, 16, 160)
    with counting_saved(comparer) as saved:
        comparer(features=features)
    return sum(saved.values())


def test_saved_activations_grow_with_the_batch(comparer):
    comparer.train()
    two, four = saved_bytes(comparer, 2), saved_bytes(comparer, 4)
    assert 1.9 < four / two < 2.1
    with torch.no_grad():
        assert saved_bytes(comparer, 4) == 0


def test_the_largest_batch_leaves_room_for_what_is_at_rest():
    rows = [{"phase": "forward", "peak": None}]
    kinds = {"frozen_weights": 600, "lora": 100}
    assert largest_batch(rows, kinds, saved=40, batch_pairs=4, total=2000) == (1800 - 700) // 10
    assert largest_batch(rows, kinds, saved=0, batch_pairs=4, total=2000) is None
    cuda = [
        {"phase": "before", "peak": 5000},  # of steps before this one
        {"phase": "forward", "peak": 900},
        {"phase": "backward", "peak": 1100},
    ]
    assert largest_batch(cuda, kinds, saved=1, batch_pairs=4, total=2000) == (1800 - 700) // 100


def test_a_phase_records_the_resident_size_on_a_cpu():
    row = phase_memory("forward", torch.device("cpu"))
    assert row["rss"] > 10e6
    assert row["peak"] is None
    assert total_memory(torch.device("cpu"), {"lora": 5}) > 5
