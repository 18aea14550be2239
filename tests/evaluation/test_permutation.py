"""Groups without an effect are distinguished from groups that matter."""

import numpy as np
import pandas as pd
import pytest

from lmol.data.evaluation_pairs import all_pairs
from lmol.evaluation.judged import JudgedPairs
from lmol.evaluation.permutation import GroupPermutations

NUM = 90


def p_values(seed, worse_by=0.0, offset=0.0):
    """Of a judge who errs more often in the last of three groups, and of errors of estimates."""
    rng = np.random.default_rng(seed)
    codes = np.arange(NUM) % 3
    names = [f"{k:02}" for k in range(NUM)]
    scores = pd.DataFrame({"image": names, "score": rng.uniform(1, 5, NUM)})
    pairs = all_pairs(scores, theta=0.2)
    skill = 0.85 + rng.normal(0, 0.05, NUM) - worse_by * (codes == 2)
    row = pd.Index(scores["image"])
    first, second = row.get_indexer(pairs["img1"]), row.get_indexer(pairs["img2"])
    right = rng.random(len(pairs)) < (skill[first] + skill[second]) / 2
    answers = np.full((len(pairs), 2, 3), 1 / 3)
    judged = JudgedPairs.of(pairs, answers, scores["image"])
    object.__setattr__(judged, "right", right)
    dealt = GroupPermutations(codes, np.arange(3), 400, seed)
    errors = rng.normal(0, 0.2, NUM) + offset * (codes == 2)
    return dealt.of_accuracy(judged), dealt.of_means(errors)


def test_a_group_that_is_judged_worse_is_found():
    gap, bias = p_values(0, worse_by=0.25, offset=0.4)
    assert gap < 0.01
    assert bias < 0.01


def test_without_a_difference_p_values_are_spread_evenly():
    found = np.array([p_values(seed) for seed in range(60)])
    assert np.mean(found <= 0.05, axis=0) == pytest.approx([0.05, 0.05], abs=0.1)
    assert found.mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.15)


def test_equal_values_are_no_difference():
    dealt = GroupPermutations(np.arange(NUM) % 3, np.arange(3), 100, seed=1)
    assert dealt.of_means(np.full(NUM, 0.1)) == 1.0


def test_one_group_has_nothing_to_differ_from():
    dealt = GroupPermutations(np.zeros(NUM, int), np.array([0]), 100, seed=1)
    assert dealt.of_means(np.arange(NUM, dtype=float)) is None


def test_images_without_a_group_keep_none():
    codes = np.where(np.arange(NUM) < 60, np.arange(NUM) % 2, -1)
    values = np.where(codes < 0, 100.0, 0.0)
    assert GroupPermutations(codes, np.arange(2), 100, seed=1).of_means(values) == 1.0
