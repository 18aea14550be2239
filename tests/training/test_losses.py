"""The loss is what its formula says, symmetric under swapping, and a mean over pairs."""

import math

import pytest
import torch

from lmol.config.schema import ConsistencyConfig, LossConfig
from lmol.training.losses import (
    consistency_weight,
    needs_swapped_order,
    pair_loss,
    symmetric_kl,
    weighted_cross_entropy,
)
from lmol.verdict import SWAPPED


def loss_config(start=2.0, end=2.0, ramp=0.0, w_similar=1.5, swap=1.0) -> LossConfig:
    ramp_config = ConsistencyConfig(start=start, end=end, ramp_ratio=ramp)
    return LossConfig(w_similar=w_similar, swap_ce_weight=swap, consistency=ramp_config)


def logits_and_targets(num_pairs=8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(num_pairs, 2, 3, generator=generator)
    verdicts = torch.randint(3, (num_pairs,), generator=generator)
    return logits, torch.stack([verdicts, torch.tensor(SWAPPED)[verdicts]], dim=1)


def test_cross_entropy_weighs_similar_and_divides_by_the_number_of_pairs():
    logits = torch.zeros(2, 3)
    loss = weighted_cross_entropy(logits, torch.tensor([0, 2]), w_similar=3.0)
    assert loss.item() == pytest.approx((1 + 3) * math.log(3) / 2)


def test_consistency_is_the_symmetric_kl_of_the_definition():
    p, q = torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([[0.3, 0.3, 0.4]])
    exchanged = q[:, [1, 0, 2]]
    expected = 0.5 * ((p * (p / exchanged).log()).sum() + (exchanged * (exchanged / p).log()).sum())
    assert symmetric_kl(p.log(), q.log()).item() == pytest.approx(expected.item(), rel=1e-5)


def test_consistency_vanishes_exactly_when_the_swapped_answer_agrees():
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    assert symmetric_kl(logits, logits[:, list(SWAPPED)]).item() == 0.0


def test_loss_is_the_same_for_the_swapped_pair():
    logits, targets = logits_and_targets()
    here = pair_loss(logits, targets, loss_config(), progress=0.0).total
    there = pair_loss(logits.flip(1), targets.flip(1), loss_config(), progress=0.0).total
    assert here.item() == pytest.approx(there.item(), rel=1e-6)


def test_a_batch_is_the_mean_of_its_micro_batches():
    logits, targets = logits_and_targets()
    whole = pair_loss(logits, targets, loss_config(), progress=0.3).total
    parts = [
        pair_loss(part, truth, loss_config(), progress=0.3).total
        for part, truth in zip(logits.split(1), targets.split(1), strict=True)
    ]
    assert whole.item() == pytest.approx(torch.stack(parts).mean().item(), rel=1e-6)


@pytest.mark.parametrize(
    ("progress", "expected"), [(0.0, 5.0), (0.25, 3.5), (0.5, 2.0), (0.9, 2.0)]
)
def test_dynamic_weight_is_linear_over_the_ramp(progress, expected):
    ramp = ConsistencyConfig(start=5.0, end=2.0, ramp_ratio=0.5)
    assert consistency_weight(ramp, progress) == pytest.approx(expected)


def test_a_loss_without_swap_terms_asks_for_one_order_only():
    off = loss_config(start=0.0, end=0.0, swap=0.0)
    logits, targets = logits_and_targets()
    assert not needs_swapped_order(off)
    assert needs_swapped_order(loss_config())
    one_order = pair_loss(logits[:, :1], targets[:, :1], off, progress=0.0)
    assert one_order.total.item() == pair_loss(logits, targets, off, progress=0.0).total.item()
