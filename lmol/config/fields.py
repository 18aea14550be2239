"""The types of single values in the typed tree: ranges, patterns, and the tree's own dataclass."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar, cast

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass
from typing_extensions import dataclass_transform

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def node(kind: type[T]) -> type[T]:
    """Return a frozen dataclass of the tree, which refuses unknown keys, infinity and NaN."""
    return cast("type[T]", dataclass(frozen=True, kw_only=True, config=STRICT)(kind))


def _regular_expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from error
    return text


Count = Annotated[int, Field(ge=1)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
ProperShare = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32 - 1000)]
Interval = Annotated[int, Field(ge=1)] | Annotated[str, Field(pattern=r"^\d+(\.\d+)?m$")]
Target = dict[str, Any]
Pattern = Annotated[str, AfterValidator(_regular_expression)]
