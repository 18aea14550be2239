"""What the tests of the audit share with those of training."""

from tests.training.conftest import data as data
