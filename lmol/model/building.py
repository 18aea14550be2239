"""Construction of a model from its stored spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from lmol.config import instantiate
from lmol.config.schema import AnswersConfig
from lmol.errors import CheckpointError, ConfigError
from lmol.model.pair_model import PairModel
from lmol.model.spec import ModelSpec


def build_model(stored: Mapping[str, Any], frozen: str | None = None) -> PairModel:
    """Build an untrained model from a checkpoint's spec. frozen: new place of the frozen weights.

    Raises CheckpointError if the spec is invalid or of another version.
    """
    try:
        spec: ModelSpec = instantiate(stored["model"])
        answers = TypeAdapter(AnswersConfig).validate_python(stored["answers"])
        question = str(stored["question"])
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            "meta.json",
            got=f"no recipe of a model ({str(error).splitlines()[0]})",
            expected="one as this version writes it",
            remedy="load it with the version that it was trained with, or train it again",
        ) from error
    return (spec if frozen is None else spec.relocated(frozen)).build(question, answers)
