"""Rules between settings: a setting that contradicts another one is an error.

A rule's parameters are named after the groups that it reads; it is called if those are valid.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lmol.config.schema import (
    Action,
    Attention,
    AuditConfig,
    DataConfig,
    FoldConfig,
    FoldKind,
    OptimConfig,
    Precision,
    ProjectorStart,
    Schedule,
    Target,
    TrainConfig,
)
from lmol.errors import LmolError

OFFICIAL_FOLDS = 5
"""SCUT-FBP5500 is released with five cross-validation lists."""

SEEN_BEFORE_THE_STEP = ("non_finite_loss", "non_finite_gradient", "gradient_explosion")
"""Rules that are checked before each optimizer step, so that the step can be skipped."""

TOO_LATE = "frozen_weights_changed"
"""The rule that is checked when training is over."""

Rule = Callable[..., Iterator[LmolError]]


def broken_rules(groups: Mapping[str, Any]) -> list[LmolError]:
    """Return an error for each broken rule. groups: by name, only groups whose values are valid."""
    problems: list[LmolError] = []
    for rule in RULES:
        read = inspect.signature(rule).parameters
        if read.keys() <= groups.keys():
            problems += rule(**{name: groups[name] for name in read})
    return problems


def _fold_index(fold: FoldConfig) -> Iterator[LmolError]:
    k, index = fold.k, fold.index
    if not 1 <= index <= k:
        yield LmolError(
            "fold.index",
            got=f"{index}, a fold index outside 1..k",
            expected=f"1 to {k}",
            remedy=f"hold out one of the folds 1 to {k}, such as fold=1",
        )


def _official_folds(fold: FoldConfig) -> Iterator[LmolError]:
    if fold.kind is FoldKind.OFFICIAL and fold.k != OFFICIAL_FOLDS:
        yield LmolError(
            "fold.k",
            got=fold.k,
            expected=f"{OFFICIAL_FOLDS}, the number of the release's own lists",
            remedy="leave fold.k out, or make new folds with fold=seeded",
        )


def _near_band(data: DataConfig) -> Iterator[LmolError]:
    near_band, theta = data.schedule.get("near_band"), data.theta
    if isinstance(near_band, float | int) and near_band > theta:
        yield LmolError(
            "data.schedule.near_band",
            got=near_band,
            expected=f"at most data.theta = {theta}: the band lies within Similar",
            remedy="lower data.schedule.near_band or raise data.theta",
        )


def _answers(data: DataConfig) -> Iterator[LmolError]:
    answers = data.answers
    words = (answers.first, answers.second, answers.similar)
    if len({word.strip() for word in words}) < len(words):
        yield LmolError(
            "data.answers",
            got=", ".join(words),
            expected="three different words",
            remedy="choose words whose first tokens differ: they identify the answer",
        )


def _learning_rates(optim: OptimConfig) -> Iterator[LmolError]:
    if optim.lr_lora == 0 and optim.lr_projector == 0:
        yield LmolError(
            "optim.lr_lora, optim.lr_projector",
            got="0 and 0",
            expected="at least one above 0: nothing would be trained",
            remedy="raise one of the two learning rates",
        )


def _cycles(optim: OptimConfig) -> Iterator[LmolError]:
    if optim.cycles > 1 and optim.schedule is not Schedule.COSINE_RESTARTS:
        yield LmolError(
            "optim.cycles",
            got=f"{optim.cycles} with schedule {optim.schedule.value}",
            expected="1, as only cosine_restarts has cycles",
            remedy="set optim.schedule=cosine_restarts or optim.cycles=1",
        )


def _ramp(train: TrainConfig) -> Iterator[LmolError]:
    ramp = train.loss.consistency
    if ramp.start != ramp.end and ramp.ramp_ratio == 0:
        yield LmolError(
            "train.loss.consistency",
            got=f"start {ramp.start}, end {ramp.end}, ramp_ratio 0",
            expected="start equal to end, because the ramp has no steps",
            remedy="set ramp_ratio above 0 or start to the value of end",
        )


def _no_epochs(model: Target, train: TrainConfig) -> Iterator[LmolError]:
    if train.epochs == 0 and model.get("projector") != ProjectorStart.PRETRAINED.value:
        yield LmolError(
            "train.epochs",
            got="0, for a model with parts that are random before training",
            expected="above 0, or model.projector=pretrained: the model as it came",
            remedy="raise it, or use +baseline=zero_shot",
        )


def _of_backbone(model: Target, name: str) -> object:
    """Return a setting of the model's base as given; its class has not checked it."""
    backbone = model.get("backbone")
    return backbone.get(name) if isinstance(backbone, dict) else None


def _flash_attention(model: Target) -> Iterator[LmolError]:
    flash = _of_backbone(model, "attention") == Attention.FLASH_ATTENTION_2.value
    if flash and _of_backbone(model, "dtype") == Precision.FP32.value:
        yield LmolError(
            "model.backbone.attention",
            got="flash_attention_2 with dtype fp32",
            expected="dtype bf16 or fp16, which it requires",
            remedy="set model.backbone.dtype=bf16 or model.backbone.attention=sdpa",
        )


def _half_precisions(model: Target, train: TrainConfig) -> Iterator[LmolError]:
    halves = [Precision.BF16.value, Precision.FP16.value]
    dtype, precision = _of_backbone(model, "dtype"), train.precision.value
    if dtype in halves and precision in halves and dtype != precision:
        yield LmolError(
            "train.precision",
            got=f"{precision} over {dtype} weights",
            expected="the same half precision for both, or fp32 for one",
            remedy="set train.precision and model.backbone.dtype alike",
        )


def _enough_pairs(data: DataConfig, train: TrainConfig) -> Iterator[LmolError]:
    num_pairs, step = data.schedule.get("num_pairs"), train.batch_pairs * train.accumulation
    if isinstance(num_pairs, int) and num_pairs < step:
        yield LmolError(
            "data.schedule.num_pairs",
            got=num_pairs,
            expected=f"at least one step of {train.batch_pairs} x {train.accumulation} pairs",
            remedy="raise it, or lower train.batch_pairs or train.accumulation",
        )


def _score_range(data: DataConfig) -> Iterator[LmolError]:
    low, high = data.source.get("min_score"), data.source.get("max_score")
    if isinstance(low, float | int) and isinstance(high, float | int) and low >= high:
        yield LmolError(
            "data.source.min_score, data.source.max_score",
            got=f"{low} and {high}",
            expected="the lowest score below the highest",
            remedy="exchange the two values",
        )


def _skipped_too_late(train: TrainConfig, audit: AuditConfig) -> Iterator[LmolError]:
    for group, rules in (("audit", audit.rules), ("train.health", train.health.rules)):
        for name, rule in vars(rules).items():
            if rule.action is Action.SKIP_STEP and name not in SEEN_BEFORE_THE_STEP:
                yield LmolError(
                    f"{group}.rules.{name}.action",
                    got="skip_step, but this rule is not checked before every step",
                    expected=f"skip_step only with {', '.join(SEEN_BEFORE_THE_STEP)}",
                    remedy="choose log, lower_lr, rollback or stop",
                )


def _intervention_too_late(audit: AuditConfig) -> Iterator[LmolError]:
    action = getattr(audit.rules, TOO_LATE).action
    if action in (Action.LOWER_LR, Action.ROLLBACK):
        yield LmolError(
            f"audit.rules.{TOO_LATE}.action",
            got=f"{action.value}, but this rule is checked after training",
            expected="log or stop",
            remedy="choose stop to end the run before its evaluation",
        )


RULES: tuple[Rule, ...] = (
    _fold_index,
    _official_folds,
    _near_band,
    _answers,
    _learning_rates,
    _cycles,
    _ramp,
    _no_epochs,
    _flash_attention,
    _half_precisions,
    _enough_pairs,
    _score_range,
    _skipped_too_late,
    _intervention_too_late,
)
