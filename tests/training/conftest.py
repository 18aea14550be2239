"""Fixtures for the tests of training."""

import pytest

from lmol.data.data_set import DataSet
from lmol.data.pairs import UniformPairs
from lmol.model.features import cache_features
from tests.tiny import build_tiny


@pytest.fixture
def data(faces):
    """Features of the faces and 24 pairs of them."""
    pairs = UniformPairs(num_pairs=24).training(DataSet(images=faces), faces, 0.2, seed=0)
    return cache_features(build_tiny().encoder, faces, lambda images: None), pairs
