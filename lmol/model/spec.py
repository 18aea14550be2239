"""Settings of a model, as the config group `model` gives them; they build the model.

The module of such a class imports no heavy library; `build` imports them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from lmol.config.schema import AnswersConfig
from lmol.errors import LmolError

if TYPE_CHECKING:
    from lmol.model.pair_model import PairModel


class ModelSpec(Protocol):
    """A dataclass whose fields are the settings of a model.

    cache_features: encode an image once and keep its features, instead of at every step.
    """

    cache_features: bool

    def build(self, question: str, answers: AnswersConfig) -> PairModel:
        """Build the model, untrained; its `spec` builds it again."""

    def problems(self) -> Iterator[LmolError]:
        """Yield an error for each setting that this machine cannot support."""

    def relocated(self, frozen: str) -> ModelSpec:
        """Return the same model with its frozen weights at another place."""
