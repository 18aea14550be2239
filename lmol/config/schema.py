"""The typed tree behind conf/: every key with its type, its range and one line of meaning.

Values are only in YAML; no field has a default, so a key missing from a file is an error.
A node of type Target is swappable: its `_target_` names a class of the lmol package, and its other
keys are checked against that class's signature.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lmol.config.choices import Action as Action
from lmol.config.choices import Attention as Attention
from lmol.config.choices import AuditLevel as AuditLevel
from lmol.config.choices import CheckpointKind as CheckpointKind
from lmol.config.choices import Decoding as Decoding
from lmol.config.choices import ExportForm as ExportForm
from lmol.config.choices import FoldKind as FoldKind
from lmol.config.choices import Pairing as Pairing
from lmol.config.choices import Precision as Precision
from lmol.config.choices import ProjectorStart as ProjectorStart
from lmol.config.choices import PromptForm as PromptForm
from lmol.config.choices import Quantization as Quantization
from lmol.config.choices import RunStatus as RunStatus
from lmol.config.choices import Schedule as Schedule
from lmol.config.choices import Severity as Severity
from lmol.config.choices import TrackingMode as TrackingMode
from lmol.config.choices import ValidationMetric as ValidationMetric
from lmol.config.fields import (
    Count,
    Interval,
    NonNegative,
    Positive,
    ProperShare,
    Seed,
    Share,
    node,
)
from lmol.config.fields import Target as Target
from lmol.config.monitoring import AuditConfig as AuditConfig
from lmol.config.monitoring import AuditRules as AuditRules
from lmol.config.monitoring import HealthConfig as HealthConfig
from lmol.config.monitoring import HealthRules as HealthRules
from lmol.config.monitoring import RuleConfig as RuleConfig
from lmol.config.results import EvalConfig as EvalConfig
from lmol.config.results import ExportConfig as ExportConfig
from lmol.config.results import RankingConfig as RankingConfig
from lmol.config.results import ReportConfig as ReportConfig

Tag = Annotated[str, Field(min_length=1, max_length=64)]
ProjectName = Annotated[str, Field(pattern=r"^[^/\\#?%:]{1,128}$")]
"""Lengths and characters that W&B takes."""


@node
class TaskConfig:
    """The command to run."""

    name: Annotated[str, Field(description="module lmol.tasks.<name> that runs")]


@node
class AnswersConfig:
    """The words the model answers with; their first tokens must differ."""

    first: Annotated[str, Field(min_length=1, description="answer: image 1 is better")]
    second: Annotated[str, Field(min_length=1, description="answer: image 2 is better")]
    similar: Annotated[str, Field(min_length=1, description="answer: neither is better")]


@node
class DataConfig:
    """Images with scores, the question asked about them, and how pairs are drawn."""

    root: Annotated[str | None, Field(description="folder of the data set")]
    outside: Annotated[
        bool, Field(description="read image files outside of the root, by name or by link")
    ]
    source: Annotated[Target, Field(description="builds the table image, path, score, group")]
    schedule: Annotated[Target, Field(description="draws the training pairs of a fold")]
    theta: Annotated[NonNegative, Field(description="score gap up to which two are Similar")]
    question: Annotated[str, Field(min_length=1, description="the question put to the model")]
    answers: Annotated[AnswersConfig, Field(description="the three answer words")]


@node
class FoldConfig:
    """The split of the images into folds, and the fold that is held out."""

    kind: Annotated[FoldKind, Field(description="official lists of the release, or seeded folds")]
    index: Annotated[int, Field(description="the held-out fold, 1..k")]
    k: Annotated[int, Field(ge=2, description="number of folds")]
    seed: Annotated[Seed, Field(description="seed of the split and of its validation images")]
    validation: Annotated[
        ProperShare, Field(description="share of training-fold images kept for choosing `best`")
    ]
    allow_duplicates: Annotated[
        bool, Field(description="let a held-out file be in the training fold under another name")
    ]


@node
class OptimConfig:
    """AdamW with two learning rates, and their schedule."""

    lr_lora: Annotated[NonNegative, Field(description="peak learning rate of the adapters")]
    lr_projector: Annotated[NonNegative, Field(description="peak learning rate of the projector")]
    lr: Annotated[NonNegative, Field(description="peak learning rate of models without either")]
    weight_decay: Annotated[NonNegative, Field(description="decoupled decay, not on biases")]
    beta1: Annotated[float, Field(ge=0, lt=1, description="decay of the first moment")]
    beta2: Annotated[float, Field(ge=0, lt=1, description="decay of the second moment")]
    epsilon: Annotated[Positive, Field(description="added to the root of the second moment")]
    grad_clip: Annotated[NonNegative, Field(description="largest global gradient norm; 0 = off")]
    schedule: Annotated[Schedule, Field(description="shape of the decay after the warm-up")]
    warmup_ratio: Annotated[float, Field(ge=0, lt=1, description="share of steps of warm-up")]
    floor: Annotated[Share, Field(description="lowest learning rate, as a share of the peak")]
    cycles: Annotated[Count, Field(description="number of cycles of cosine_restarts")]


@node
class ConsistencyConfig:
    """The weight lambda(t), linear from start to end over the first ramp_ratio of the steps."""

    start: Annotated[NonNegative, Field(description="weight of the swap term at step 0")]
    end: Annotated[NonNegative, Field(description="weight after the ramp; = start for static")]
    ramp_ratio: Annotated[Share, Field(description="share of the steps that the ramp takes")]


@node
class LossConfig:
    """The loss L = CE + lambda(t) * SymKL."""

    w_similar: Annotated[NonNegative, Field(description="class weight of Similar; others 1")]
    swap_ce_weight: Annotated[NonNegative, Field(description="weight of CE on the swapped order")]
    consistency: Annotated[ConsistencyConfig, Field(description="weight of the swap term")]


@node
class EarlyStoppingConfig:
    """The stop of training when the validation metric no longer improves."""

    patience: Annotated[int, Field(ge=0, description="validations without gain; 0 = off")]
    min_delta: Annotated[NonNegative, Field(description="smallest gain that counts")]


@node
class TrainConfig:
    """The training loop."""

    trainer: Annotated[Target, Field(description="the Trainer subclass")]
    collator: Annotated[Target, Field(description="makes a batch of pairs")]
    epochs: Annotated[
        NonNegative, Field(description="passes over the training pairs; 0: the model as it came")
    ]
    batch_pairs: Annotated[Count, Field(description="pairs per device and micro-batch")]
    accumulation: Annotated[Count, Field(description="micro-batches per optimizer step")]
    precision: Annotated[Precision, Field(description="autocast precision")]
    activation_checkpointing: Annotated[bool, Field(description="recompute in backward")]
    loss: Annotated[LossConfig, Field(description="the terms of the loss")]
    metric: Annotated[ValidationMetric, Field(description="chooses `best`, stops early")]
    validation_pairs: Annotated[Count, Field(description="maximum number of pairs in a validation")]
    validate_every: Annotated[Share, Field(gt=0, description="as a share of all steps")]
    best_from: Annotated[Share, Field(description="share of steps before any is `best`")]
    log_every: Annotated[Count, Field(description="optimizer steps between log lines")]
    save_every: Annotated[
        Interval, Field(description="steps, or minutes as in 15m, between two saved states")
    ]
    max_minutes: Annotated[
        Positive | None, Field(description="save the state and end the training after this time")
    ]
    early_stopping: Annotated[EarlyStoppingConfig, Field(description="when to give up")]
    health: Annotated[HealthConfig, Field(description="when to intervene in a run, or to stop it")]
    workers: Annotated[int, Field(ge=0, description="processes that read images; 0 = none")]


@node
class TrackingConfig:
    """Experiment tracking with Weights & Biases, in addition to the run folder."""

    mode: Annotated[
        TrackingMode, Field(description="not at all, in the run folder only, or on the server too")
    ]
    project: Annotated[ProjectName, Field(description="the W&B project that runs are listed in")]
    entity: Annotated[
        str | None, Field(min_length=1, description="W&B user or team; null: the account's own")
    ]
    tags: Annotated[list[Tag], Field(description="in addition to recipe, fold and data source")]
    log_model: Annotated[bool, Field(description="upload the checkpoint as an artifact")]


@node
class Config:
    """The configuration of one job."""

    name: Annotated[
        str, Field(pattern=r"^[\w.-]+$", description="of the recipe: sweep folders, tables")
    ]
    seed: Annotated[Seed, Field(description="the job is seeded with seed + fold.index")]
    debug: Annotated[bool, Field(description="show tracebacks of the user's mistakes")]
    fail_fast: Annotated[bool, Field(description="begin no job of a sweep after one has failed")]
    threads: Annotated[int, Field(ge=0, description="torch CPU threads; 0 = all cores")]
    run: Annotated[
        str | None, Field(description="folder of the run that is used; null: the latest finished")
    ]
    checkpoint: Annotated[CheckpointKind, Field(description="which weights of the run")]
    images: Annotated[
        str | list[str] | None,
        Field(description="files, a folder, or a table; null: the held-out images of the run"),
    ]
    resume: Annotated[
        str | None,
        Field(description="unfinished run to continue: its folder, or auto for the newest like it"),
    ]
    runs: Annotated[
        str | list[str] | None,
        Field(description="run and sweep folders of a report; null: list those below outputs/"),
    ]
    task: TaskConfig
    data: DataConfig
    fold: FoldConfig
    model: Annotated[Target, Field(description="model that compares two images")]
    optim: OptimConfig
    train: TrainConfig
    eval: EvalConfig
    ranking: RankingConfig
    export: ExportConfig
    report: ReportConfig
    audit: AuditConfig
    tracking: TrackingConfig
