"""Updates are measured where they happened, and a frozen tensor cannot change unseen."""

import pytest
import torch

from lmol.audit.parameters import audited_tensors
from lmol.audit.updates import (
    changed,
    content_hash,
    frozen_hashes,
    measure_updates,
    update_table,
)
from tests.tiny import build_tiny


def test_an_update_is_measured_element_by_element():
    tensors = audited_tensors(build_tiny())[:3]
    for tensor in tensors:
        tensor.parameter.grad = torch.ones_like(tensor.parameter)
    before = [tensor.parameter.detach().clone() for tensor in tensors]
    with torch.no_grad():
        tensors[0].parameter[0] += 0.5  # one row of 64
        tensors[2].parameter.mul_(1 + 1e-4)  # less than bf16 resolves
    table = update_table(
        tensors, measure_updates(tensors, before).double().numpy(), [0.1, 0.2, 0.3]
    )
    assert table["unchanged_share"] == pytest.approx([63 / 64, 1, 0], abs=1e-3)
    assert table["lost_share"] == pytest.approx([63 / 64, 1, 0], abs=1e-3)
    assert table["update_norm"][0] == pytest.approx((160 * 0.25) ** 0.5, rel=1e-5)
    assert table["ratio"][2] == pytest.approx(1e-4, rel=1e-2)
    assert table["unchanged_in_bf16"][2] > 0.9
    assert table["learning_rate"].tolist() == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8, torch.float16])
@pytest.mark.parametrize("size", [1, 3, 1000, 70_001])
def test_a_hash_sees_any_change_of_one_element_and_of_order(dtype, size):
    tensor = torch.arange(1, size + 1).remainder(251).to(dtype)
    before = content_hash(tensor)
    assert content_hash(tensor.clone()) == before
    for place in {0, size // 2, size - 1}:
        other = tensor.clone()
        other[place] += 1
        assert content_hash(other) != before
    if size > 2:
        assert content_hash(tensor.flip(0)) != before
        assert content_hash(tensor.roll(1)) != before


def test_hashes_know_minus_zero_and_long_tensors(monkeypatch):
    monkeypatch.setattr("lmol.audit.updates.CHUNK", 64)
    zeros = torch.zeros(100)
    assert content_hash(zeros) != content_hash(-zeros)
    moved = zeros.clone()
    moved[99] = 1
    other = zeros.clone()
    other[83] = 1  # the same place within another chunk
    assert len({content_hash(t).item() for t in (zeros, moved, other)}) == 3


def test_changed_frozen_tensors_are_named():
    comparer = build_tiny()
    before = frozen_hashes(comparer)
    assert changed(before, frozen_hashes(comparer)) == []
    with torch.no_grad():
        comparer.base.model.lm_head.weight[5, 5] += 1e-6
    assert changed(before, frozen_hashes(comparer)) == ["adapted.base_model.model.lm_head.weight"]
