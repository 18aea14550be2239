"""The nodes of the typed tree for evaluation, ranking, export and reports of a trained model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lmol.config.choices import Decoding, ExportForm, Pairing, RunStatus
from lmol.config.fields import Count, Positive, Share, node


@node
class EvalConfig:
    """Settings of the evaluation on held-out pairs."""

    pairs: Annotated[
        Count | Literal["all"], Field(description="'all', or the size of a seeded sample")
    ]
    batch_pairs: Annotated[
        Count, Field(description="maximum number of ordered pairs per forward pass")
    ]
    decode: Annotated[
        Decoding, Field(description="read the answers' logits, or generate the answer's token")
    ]
    memory_gb: Annotated[
        Positive,
        Field(description="size in 10^9 bytes from which embedded images are kept in a file"),
    ]
    replicates: Annotated[Count, Field(description="bootstrap replicates over images")]


@node
class RankingConfig:
    """Settings of the ranking; all but virtual_ties and references are for task=rank only."""

    virtual_ties: Annotated[
        Positive, Field(description="ties of each image with an average one: regularisation")
    ]
    pairing: Annotated[Pairing, Field(description="which pairs are compared")]
    pairs_per_image: Annotated[
        Count,
        Field(description="maximum number of comparisons per image in random and adaptive pairing"),
    ]
    stable: Annotated[
        Share,
        Field(gt=0, description="agreement with half as many comparisons at which adaptive stops"),
    ]
    references: Annotated[
        int,
        Field(ge=0, description="maximum number of reference images with known scores"),
    ]


@node
class ExportConfig:
    """Settings of the export of a trained model for use elsewhere."""

    form: Annotated[ExportForm, Field(description="a stock LLaVA, or only adapter and projector")]
    folder: Annotated[
        str | None, Field(description="where to, a new folder; null: model/ in the run folder")
    ]


@node
class ReportConfig:
    """Settings of the page of task=report, or of its list of runs."""

    page: Annotated[
        str | None, Field(description="the HTML file; null: report.html in the run folder")
    ]
    name: Annotated[
        str | None,
        Field(min_length=1, description="of the list: recipes that match, as no_* does no_swap"),
    ]
    task: Annotated[
        str | None, Field(min_length=1, description="of the list: only runs of this task")
    ]
    status: Annotated[
        RunStatus | None, Field(description="of the list: only runs with this status")
    ]
