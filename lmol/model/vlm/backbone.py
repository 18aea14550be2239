"""The backbone of LLaVA-1.5, at the place that stored runs name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lmol.model.vlm.base import Base
from lmol.model.vlm.families.llava import Llava
from lmol.model.vlm.loading import Backbone


@dataclass(frozen=True, kw_only=True)
class LlavaBackbone(Backbone):
    """LLaVA-1.5."""

    family: ClassVar[type[Base]] = Llava
