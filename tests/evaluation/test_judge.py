"""The judge answers as the model does, pair by pair, and both orders of a pair alike."""

import numpy as np
import pytest
import torch

from lmol.data.pairs import all_pairs
from lmol.errors import TrainingError
from lmol.evaluation.judge import judge
from lmol.evaluation.metrics import average_orders
from lmol.model.features import PixelImages, cache_features
from lmol.verdict import SWAPPED


@pytest.fixture(scope="module")
def pairs(faces):
    return all_pairs(faces[:9], theta=0.2)


@pytest.fixture
def images(comparer, faces):
    return cache_features(comparer.base, faces, lambda images: None)


def test_probabilities_are_those_of_the_forward_pass(comparer, pairs, images):
    judged = judge(comparer, pairs, images, batch_pairs=7)
    features = torch.stack(
        [images.read([a, b]) for a, b in zip(pairs["img1"], pairs["img2"], strict=True)]
    )
    with torch.no_grad():
        expected = comparer(features=features).softmax(-1).numpy()
    assert judged.shape == (36, 2, 3)
    np.testing.assert_allclose(judged, expected, atol=1e-6)


@pytest.mark.parametrize("batch_pairs", [1, 5, 100])
def test_the_batch_size_plays_no_part(comparer, pairs, images, batch_pairs):
    expected = judge(comparer, pairs, images, batch_pairs=36)
    np.testing.assert_allclose(judge(comparer, pairs, images, batch_pairs), expected, atol=1e-6)


def test_pixels_and_cached_features_are_judged_alike(comparer, pairs, images, faces):
    pixels = PixelImages(comparer.base.processor.image_processor, faces)
    np.testing.assert_allclose(
        judge(comparer, pairs, pixels, 36), judge(comparer, pairs, images, 36), atol=1e-6
    )


def test_swapping_the_images_swaps_the_averaged_probabilities_exactly(comparer, pairs, images):
    swapped = pairs.rename(columns={"img1": "img2", "img2": "img1"})
    one = average_orders(judge(comparer, pairs, images, batch_pairs=1))
    other = average_orders(judge(comparer, swapped, images, batch_pairs=1))
    np.testing.assert_array_equal(one, other[:, list(SWAPPED)])


def test_judging_leaves_no_trace(comparer, pairs, images):
    comparer.train()
    before = {name: p.clone() for name, p in comparer.named_parameters()}
    judged, again = (judge(comparer, pairs, images, batch_pairs=9) for _ in range(2))
    assert comparer.training
    np.testing.assert_array_equal(judged, again)  # no dropout
    assert all(torch.equal(p, before[name]) for name, p in comparer.named_parameters())
    assert all(p.grad is None for p in comparer.parameters())


def test_progress_counts_every_pair(comparer, pairs, images):
    counted: list[int] = []
    judge(comparer, pairs, images, 10, counted.append)
    assert sum(counted) == len(pairs)


def test_a_model_that_diverged_is_told(comparer, pairs, images):
    with torch.no_grad():
        comparer.base.model.model.multi_modal_projector.linear_1.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="probabilities that are not finite"):
        judge(comparer, pairs, images, batch_pairs=9)
