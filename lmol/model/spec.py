"""Settings of a model, from the config group `model` or a checkpoint; they build the model.

The module of such a class imports no heavy library; `build` imports them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pydantic import TypeAdapter

from lmol.config import instantiate
from lmol.config.schema import AnswersConfig
from lmol.errors import CheckpointError, ConfigError, LmolError

if TYPE_CHECKING:
    from lmol.model.load import Load
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


@runtime_checkable
class Estimates(Protocol):
    """Settings from which the load of a training follows before anything is loaded."""

    def estimate(self, question: str) -> Load | None:
        """Return the load of a training; None if it is not known."""


def stored_spec(spec: Any, frozen: str, question: str, answers: AnswersConfig) -> dict[str, Any]:
    """Return the arguments of build_model, as JSON values.

    spec: a ModelSpec. frozen: its field that locates the frozen weights; a folder is stored as an
    absolute path, so that the spec can be read from anywhere.
    """
    model: dict[str, Any] = TypeAdapter(type(spec)).dump_python(spec, mode="json")
    weights = Path(str(model[frozen].get("weights")))
    if weights.exists():
        model[frozen] |= {"weights": str(weights.absolute())}
    place = f"{type(spec).__module__}.{type(spec).__name__}"
    return {
        "model": {"_target_": place, **model},
        "question": question,
        "answers": TypeAdapter(AnswersConfig).dump_python(answers, mode="json"),
    }


def build_model(stored: Mapping[str, Any], frozen: str | None = None) -> PairModel:
    """Build an untrained model from a checkpoint's spec. frozen: new place of the frozen weights.

    Raises CheckpointError if the spec is invalid or of another version.
    """
    try:
        spec: ModelSpec = instantiate(stored["model"], "model")
        answers = TypeAdapter(AnswersConfig).validate_python(stored["answers"])
        question = str(stored["question"])
    except (ConfigError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            "meta.json",
            got=f"no recipe of a model ({str(error).splitlines()[0]})",
            expected="one as this version writes it",
            remedy="load it with the version that it was trained with, or train it again",
        ) from error
    return (spec if frozen is None else spec.relocated(frozen)).build(question, answers)
