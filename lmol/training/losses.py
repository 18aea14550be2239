"""L = CE + lambda(t) * SymKL over pairs that are seen in both orders.

P pairs; logits are (P, 2, 3): order 0 is (A, B), order 1 is (B, A); classes as in lmol.verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, nll_loss

from lmol.config.schema import ConsistencyConfig, LossConfig
from lmol.verdict import SWAPPED, Verdict


@dataclass(frozen=True, kw_only=True)
class LossTerms:
    """Scalars, in nats per pair; total = cross_entropy + lambda * consistency."""

    total: Tensor
    cross_entropy: Tensor
    consistency: Tensor


def needs_swapped_order(config: LossConfig) -> bool:
    """Return True if any term uses order 1; otherwise its forward is not computed."""
    ramp = config.consistency
    return config.swap_ce_weight > 0 or ramp.start > 0 or ramp.end > 0


def consistency_weight(config: ConsistencyConfig, progress: float) -> float:
    """Return lambda at `progress` (share of all steps done): a linear ramp, then constant."""
    done = min(progress / config.ramp_ratio, 1.0) if config.ramp_ratio > 0 else 1.0
    return config.start + (config.end - config.start) * done


@dataclass(frozen=True, kw_only=True)
class PairTargets:
    """Labels of P pairs: shares (P, O, 3) of the three answers by order, and weights (P,)."""

    shares: Tensor
    weights: Tensor

    @property
    def labels(self) -> Tensor:
        """Return the most probable answer by order, shape (P, O); Similar if two are equal."""
        largest, labels = self.shares.max(dim=-1)
        tied = (self.shares == largest[..., None]).sum(-1) > 1
        return labels.masked_fill(tied, Verdict.SIMILAR)


def pair_loss(
    logits: Tensor, targets: PairTargets, config: LossConfig, progress: float
) -> LossTerms:
    """Return the loss of logits (P, O, 3); O = 1 if the swapped order has no effect.

    Sums over pairs are divided by P, not by the sum of class weights as in torch's weighted mean:
    this makes a batch the mean of its micro-batches, and accumulation exact.
    """
    first = PairTargets(shares=targets.shares[:, 0], weights=targets.weights)
    entropy = weighted_cross_entropy(logits[:, 0], first, config.w_similar)
    if logits.shape[1] == 1:
        return LossTerms(total=entropy, cross_entropy=entropy, consistency=entropy.new_zeros(()))
    second = replace(first, shares=targets.shares[:, 1])
    swapped = weighted_cross_entropy(logits[:, 1], second, config.w_similar)
    entropy = (entropy + config.swap_ce_weight * swapped) / (1 + config.swap_ce_weight)
    consistency = symmetric_kl(logits[:, 0], logits[:, 1])
    weight = consistency_weight(config.consistency, progress)
    total = entropy + weight * consistency
    return LossTerms(total=total, cross_entropy=entropy, consistency=consistency)


def weighted_cross_entropy(logits: Tensor, targets: PairTargets, w_similar: float) -> Tensor:
    """Return the mean over P pairs of weight * sum over classes of w * share * -log p, in nats.

    logits (P, 3), shares (P, 3); the class weight w is w_similar for Similar and 1 otherwise.
    """
    weights = targets.shares * logits.new_tensor([1.0, 1.0, w_similar])
    pairs = (weights * log_softmax(logits, dim=-1)).sum(-1) * targets.weights
    # nll_loss adds in the same order as torch's cross-entropy of class indices.
    rows = torch.zeros(len(pairs), dtype=torch.long, device=pairs.device)
    return nll_loss(pairs[:, None], rows, reduction="sum") / len(logits)


def symmetric_kl(logits: Tensor, swapped_logits: Tensor) -> Tensor:
    """Return 0.5 * (KL(p||q') + KL(q'||p)), mean over P pairs, in nats.

    p comes from the order (A, B), q' from (B, A) with First and Second exchanged. Since
    KL(p||q') + KL(q'||p) = sum (p - q') (log p - log q'), it needs no division.
    """
    log_p = log_softmax(logits, dim=-1)
    log_q = log_softmax(swapped_logits, dim=-1)[:, list(SWAPPED)]
    divergence = (log_p.exp() - log_q.exp()) * (log_p - log_q)
    return 0.5 * torch.sum(divergence) / len(logits)
