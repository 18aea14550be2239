"""A trainer on a handful of faces, as tests want it."""

from pathlib import Path
from typing import Any

import pandas as pd

from lmol.audit.monitor import Monitor, open_monitor
from lmol.audit.monitored import MonitoredTraining
from lmol.config import load_config
from lmol.config.schema import (
    AuditConfig,
    ConsistencyConfig,
    EarlyStoppingConfig,
    LossConfig,
    OptimConfig,
    Precision,
    Schedule,
    TrainConfig,
    ValidationMetric,
)
from lmol.data.collator import PairCollator, PairDataset
from lmol.runs.result_folder import ResultFolder
from lmol.tracking.tracker import Tracker
from lmol.training.arguments import TrainerSettings, TrainingData
from lmol.training.trainer import ComparisonTrainer

OPTIM = OptimConfig(
    lr_lora=1e-2,
    lr_projector=1e-3,
    lr=0.0,
    weight_decay=0.1,
    beta1=0.9,
    beta2=0.99,
    epsilon=1e-8,
    grad_clip=1.0,
    schedule=Schedule.COSINE,
    warmup_ratio=0.1,
    floor=0.01,
    cycles=1,
)

TRAIN = TrainConfig(
    trainer={},
    collator={},
    epochs=1,
    batch_pairs=8,
    accumulation=1,
    precision=Precision.FP32,
    activation_checkpointing=False,
    loss=LossConfig(
        w_similar=1.3,
        swap_ce_weight=1.0,
        consistency=ConsistencyConfig(start=1.0, end=1.0, ramp_ratio=0.0),
    ),
    metric=ValidationMetric.ACCURACY,
    validation_pairs=10,
    validate_every=0.5,
    best_from=0.0,
    log_every=1,
    save_every="15m",
    max_minutes=None,
    early_stopping=EarlyStoppingConfig(patience=0, min_delta=0.0),
    workers=0,
    health=load_config("task=prepare").train.health,
)


def audit_config(*overrides: str) -> AuditConfig:
    """The default audit with values set anew, such as audit.interval=1."""
    return load_config("task=prepare", *overrides).audit


def monitor_of(
    comparer: Any,
    pairs: pd.DataFrame,
    folder: Path,
    *,
    config: TrainConfig = TRAIN,
    optim: OptimConfig = OPTIM,
    audit: tuple[str, ...] = ("audit=off",),
) -> Monitor:
    training = MonitoredTraining(
        model=comparer,
        train=config,
        optim=optim,
        audit=audit_config(*audit),
        training_pairs=pairs,
        validation_pairs=pairs,
        theta=0.2,
    )
    return open_monitor(training, ResultFolder(folder), Tracker())


def trainer_of(
    comparer, data, folder, config=TRAIN, validate=None, callbacks=(), monitor=None, optim=OPTIM
):
    images, pairs = data
    return ComparisonTrainer(
        model=comparer,
        settings=TrainerSettings(train=config, optim=optim, seed=1, folder=folder),
        data=TrainingData(
            dataset=PairDataset(pairs, images),
            collator=PairCollator(image_key=images.key),
            validate=validate or (lambda step: dict.fromkeys(SHOWN, 0.5)),
        ),
        monitor=monitor or monitor_of(comparer, pairs, folder, config=config, optim=optim),
        callbacks=list(callbacks),
    )


SHOWN = ("accuracy", "macro_f1", "cross_entropy", "order_consistency", "pearson")


def state_of(comparer):
    return {name: p.detach().clone() for name, p in comparer.named_parameters()}
