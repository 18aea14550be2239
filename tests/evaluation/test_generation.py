"""Generating one token among the answers is the same as reading the answers' logits."""

import numpy as np
import pytest
import torch

from lmol.data.evaluation_pairs import all_pairs
from lmol.evaluation.generation import GeneratingJudge
from lmol.evaluation.judge import Judge
from lmol.evaluation.questions import Questions, rows_of
from lmol.model.features import cache_features


@pytest.fixture
def judges(comparer, faces):
    pairs = all_pairs(faces[:9], theta=0.2)
    images = cache_features(comparer.encoder, faces, lambda num: None)
    names, first, second = rows_of(pairs)
    return [(kind(comparer, names, images, 7), first, second) for kind in (Judge, GeneratingJudge)]


def test_every_generated_answer_is_the_most_probable_of_the_three(judges):
    (reading, first, second), (generating, _, _) = judges
    probabilities = reading.compare(first, second)
    found = generating.compare(first, second)
    np.testing.assert_allclose(found, probabilities, atol=1e-6)
    of_pair = Questions.of_pairs(first, second, 9).of_pair
    np.testing.assert_array_equal(generating.generated[of_pair], probabilities.argmax(-1))


def test_unconstrained_answers_that_are_none_of_the_three_are_counted(judges, comparer):
    generating, first, second = judges[1]
    generating.compare(first, second)
    assert 0 < generating.invalid_share() <= 1
    with torch.no_grad():
        comparer.base.model.lm_head.weight[list(comparer.prompt.answer_ids)] *= 1e4
    generating.compare(first, second)
    assert generating.invalid_share() == 0
