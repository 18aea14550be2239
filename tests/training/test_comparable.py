"""Validation's cross-entropy on training's scale: the loss's own number for any mix of pairs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from lmol.data.pairs_table import pairs_table
from lmol.training.comparable import comparable_cross_entropy, mix_weights
from lmol.training.losses import PairTargets, pair_loss
from lmol.verdict import SWAPPED, verdict_indices
from tests.training.parts import TRAIN

LOSS = replace(TRAIN.loss, w_similar=0.5, swap_ce_weight=0.25)


def pairs_of(seed: int, num: int, spread: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    images = pd.DataFrame(
        {"image": [f"{i}.png" for i in range(200)], "score": rng.normal(3, spread, 200)}
    )
    first = rng.integers(0, 100, num)
    return pairs_table(images, first, first + rng.integers(1, 100, num), theta=0.2)


def test_of_training_pairs_it_is_the_loss_of_training() -> None:
    pairs = pairs_of(0, 400, 0.6)
    logits = torch.randn(400, 2, 3, generator=torch.Generator().manual_seed(0)).double()
    truth = torch.as_tensor(verdict_indices(pairs["label"]))
    both = torch.stack([truth, torch.tensor(SWAPPED)[truth]], dim=1)
    targets = PairTargets(shares=torch.eye(3)[both].double(), weights=torch.ones(400).double())
    expected = pair_loss(logits, targets, LOSS, progress=1.0).cross_entropy
    found = comparable_cross_entropy(logits.softmax(-1).numpy(), pairs, pairs, LOSS)
    assert found == pytest.approx(float(expected), rel=1e-6)


def test_a_judge_that_is_as_good_on_both_has_the_same_number_for_another_mix_of_gaps() -> None:
    """Simulate a judge whose certainty depends only on label and gap."""

    def judged(pairs: pd.DataFrame) -> np.ndarray:
        gap = (pairs["score1"] - pairs["score2"]).abs().to_numpy()
        right = np.clip(0.4 + 0.3 * gap, None, 0.99)
        probabilities = np.repeat(((1 - right) / 2)[:, None, None], 3, axis=2).repeat(2, axis=1)
        truth = verdict_indices(pairs["label"])
        for order, chosen in enumerate((truth, np.array(SWAPPED)[truth])):
            probabilities[np.arange(len(pairs)), order, chosen] = right
        return probabilities

    wide, narrow = pairs_of(1, 4000, 1.0), pairs_of(2, 4000, 0.5)
    own = comparable_cross_entropy(judged(wide), wide, wide, LOSS)
    plain = comparable_cross_entropy(judged(narrow), narrow, narrow, LOSS)
    weighed = comparable_cross_entropy(judged(narrow), narrow, wide, LOSS)
    assert plain > 1.25 * own
    assert weighed == pytest.approx(own, rel=0.1)


def test_a_label_that_validation_has_not_is_left_out() -> None:
    training, validation = pairs_of(3, 400, 0.6), pairs_of(4, 400, 0.6)
    different = validation[validation["label"] != "Similar"]
    assert mix_weights(different, training).min() >= 0
    assert mix_weights(different, training).sum() == pytest.approx(
        (training["label"] != "Similar").mean(), abs=0.02
    )
    alien = different.assign(label="Similar")[:0]
    assert mix_weights(alien, training).shape == (0,)
