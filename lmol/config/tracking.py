"""The node of the typed tree for experiment tracking."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lmol.config.choices import TrackingMode
from lmol.config.fields import node

Tag = Annotated[str, Field(min_length=1, max_length=64)]
ProjectName = Annotated[str, Field(pattern=r"^[^/\\#?%:]{1,128}$")]
"""Lengths and characters that W&B takes."""


@node
class TrackingConfig:
    """Experiment tracking beside the run folder, with Weights & Biases."""

    mode: Annotated[
        TrackingMode, Field(description="not at all, in the run folder alone, or on the server too")
    ]
    project: Annotated[ProjectName, Field(description="the W&B project that runs are listed in")]
    entity: Annotated[
        str | None, Field(min_length=1, description="W&B user or team; null: the account's own")
    ]
    tags: Annotated[
        list[Tag], Field(description="beside recipe, fold and data source, which every run has")
    ]
    log_model: Annotated[bool, Field(description="upload the checkpoint as an artifact")]
