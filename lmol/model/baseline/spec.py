"""Settings of the baselines; light, so that they are checked before torch is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field

from lmol.config import instantiate
from lmol.config.fields import Count, Positive, node
from lmol.config.fields import Target as Target
from lmol.config.schema import AnswersConfig
from lmol.errors import LmolError
from lmol.model.spec import stored_spec

if TYPE_CHECKING:
    from lmol.model.baseline.pairwise_head import PairwiseHead
    from lmol.model.baseline.pooled import PooledEncoder
    from lmol.model.baseline.ridge import Ridge

Spec = TypeVar("Spec", bound="OnFrozenEncoder")


@node
class OnFrozenEncoder:
    """Settings that all baselines share."""

    encoder: Annotated[Target, Field(description="loads the frozen encoder of single images")]
    cache_features: Annotated[
        bool, Field(description="run the frozen encoder once an image, keep its output")
    ]

    def problems(self) -> Iterator[LmolError]:
        """Yield nothing: every machine supports these settings."""
        return iter(())

    def relocated(self: Spec, frozen: str) -> Spec:
        """Return the same model with its encoder in another folder."""
        return replace(self, encoder={**self.encoder, "weights": frozen})

    def stored(self, question: str, answers: AnswersConfig) -> dict[str, Any]:
        """Return the arguments of build_model, as JSON values."""
        return stored_spec(self, "encoder", question, answers)

    def load_encoder(self) -> PooledEncoder:
        """Load the encoder; raise ModelError if it cannot be used."""
        encoder: PooledEncoder = instantiate(self.encoder, "model.encoder").load()
        return encoder


@node
class RidgeSpec(OnFrozenEncoder):
    """A ridge regression of the scores, whose predictions are compared."""

    penalties: Annotated[
        list[Positive], Field(min_length=1, description="of which inner folds choose one")
    ]
    inner_folds: Annotated[int, Field(ge=2, description="of the training images")]

    def build(self, question: str, answers: AnswersConfig) -> Ridge:
        """Load the encoder and put a regression of zeros on it."""
        from lmol.model.baseline.ridge import Ridge

        return Ridge(self.load_encoder(), self, self.stored(question, answers))


@node
class PairwiseHeadSpec(OnFrozenEncoder):
    """A small network on the features of both images, trained on pairs."""

    width: Annotated[Count, Field(description="of its hidden layer, and of its output")]
    dropout: Annotated[float, Field(ge=0, lt=1, description="dropout before the output")]

    def build(self, question: str, answers: AnswersConfig) -> PairwiseHead:
        """Load the encoder and put fresh layers on it."""
        from lmol.model.baseline.pairwise_head import PairwiseHead

        return PairwiseHead(self.load_encoder(), self, self.stored(question, answers))
