"""The loss is what its formula says, symmetric under swapping, and a mean over pairs."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from lmol.config.schema import ConsistencyConfig, LossConfig
from lmol.training.losses import (
    PairTargets,
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


def one_hot(verdicts: torch.Tensor) -> PairTargets:
    """Labels of P pairs that are sure, of either order."""
    both = torch.stack([verdicts, torch.tensor(SWAPPED)[verdicts]], dim=1)
    return PairTargets(shares=torch.eye(3)[both], weights=torch.ones(len(verdicts)))


def logits_and_verdicts(num_pairs=8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(num_pairs, 2, 3, generator=generator)
    return logits, torch.randint(3, (num_pairs,), generator=generator)


def logits_and_targets(num_pairs=8) -> tuple[torch.Tensor, PairTargets]:
    logits, verdicts = logits_and_verdicts(num_pairs)
    return logits, one_hot(verdicts)


def test_cross_entropy_weighs_similar_and_divides_by_the_number_of_pairs():
    logits = torch.zeros(2, 3)
    targets = PairTargets(shares=torch.eye(3)[[0, 2]], weights=torch.ones(2))
    loss = weighted_cross_entropy(logits, targets, w_similar=3.0)
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
    turned = replace(targets, shares=targets.shares.flip(1))
    there = pair_loss(logits.flip(1), turned, loss_config(), progress=0.0).total
    assert here.item() == pytest.approx(there.item(), rel=1e-6)


def test_a_batch_is_the_mean_of_its_micro_batches():
    logits, verdicts = logits_and_verdicts()
    whole = pair_loss(logits, one_hot(verdicts), loss_config(), progress=0.3).total
    parts = [
        pair_loss(part, one_hot(truth), loss_config(), progress=0.3).total
        for part, truth in zip(logits.split(1), verdicts.split(1), strict=True)
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
    one_order = pair_loss(logits[:, :1], targets, off, progress=0.0)
    assert one_order.total.item() == pair_loss(logits, targets, off, progress=0.0).total.item()


@pytest.mark.parametrize("num_pairs", [1, 7, 16, 33])
def test_one_hot_labels_give_the_bits_of_a_cross_entropy_of_class_indices(num_pairs):
    logits, verdicts = logits_and_verdicts(num_pairs)
    one, other = (logits[:, 0].clone().requires_grad_() for _ in range(2))
    first = one_hot(verdicts)
    first = replace(first, shares=first.shares[:, 0])
    ours = weighted_cross_entropy(one, first, w_similar=1.3)
    weight = torch.tensor([1.0, 1.0, 1.3])
    stock = cross_entropy(other, verdicts, weight=weight, reduction="sum") / num_pairs
    ours.backward()
    stock.backward()
    assert torch.equal(ours, stock)
    assert one.grad is not None
    assert other.grad is not None
    assert torch.equal(one.grad, other.grad)


def test_a_label_is_a_distribution():
    """Three voters for First and one for a tie: the mean loss of four sure labels."""
    logits = torch.randn(1, 2, 3, generator=torch.Generator().manual_seed(2))
    shares = torch.tensor([[[0.75, 0.0, 0.25], [0.0, 0.75, 0.25]]])
    voted = PairTargets(shares=shares, weights=torch.ones(1))
    four = one_hot(torch.tensor([0, 0, 0, 2]))
    together = pair_loss(logits.expand(4, 2, 3), four, loss_config(), progress=0.0)
    alone = pair_loss(logits, voted, loss_config(), progress=0.0)
    assert alone.total.item() == pytest.approx(together.total.item(), rel=1e-6)


def test_a_pair_of_weight_two_counts_as_two():
    logits, verdicts = logits_and_verdicts(2)
    weighted = PairTargets(shares=one_hot(verdicts).shares, weights=torch.tensor([2.0, 1.0]))
    repeated = one_hot(verdicts[[0, 0, 1]])
    once = pair_loss(logits, weighted, loss_config(), progress=0.0).cross_entropy
    twice = pair_loss(logits[[0, 0, 1]], repeated, loss_config(), progress=0.0).cross_entropy
    assert 2 * once.item() == pytest.approx(3 * twice.item(), rel=1e-6)


def test_the_label_of_a_tied_vote_is_similar_in_both_orders():
    shares = torch.tensor([[[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]], [[0.2, 0.7, 0.1], [0.7, 0.2, 0.1]]])
    targets = PairTargets(shares=shares, weights=torch.ones(2))
    assert targets.labels.tolist() == [[2, 2], [1, 0]]
