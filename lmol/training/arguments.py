"""Conversion of our settings to those of the transformers Trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import TrainingArguments

from lmol.config.schema import OptimConfig, Precision, TrainConfig, ValidationMetric
from lmol.system.distributed import PATIENCE
from lmol.training.states import StateFolder


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """Settings of a training. folder: receives the checkpoints.

    states: receives the states; None: states are not saved. resumed: the state to continue from.
    """

    train: TrainConfig
    optim: OptimConfig
    seed: int
    folder: Path
    states: StateFolder | None = None
    resumed: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingData:
    """Training data. validate: returns metrics of other training-fold images after a step."""

    dataset: Dataset[Any]
    collator: Callable[[Any], dict[str, Tensor]]
    validate: Callable[[int], dict[str, float]]


def training_arguments(settings: TrainerSettings) -> TrainingArguments:
    """Return the Trainer's arguments for our settings; its own defaults are switched off."""
    config = settings.train
    arguments = TrainingArguments(
        output_dir=str(settings.folder),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_pairs,
        gradient_accumulation_steps=config.accumulation,
        max_grad_norm=settings.optim.grad_clip,
        bf16=config.precision is Precision.BF16,
        fp16=config.precision is Precision.FP16,
        seed=settings.seed,
        dataloader_num_workers=config.workers,
        dataloader_drop_last=True,  # equal micro-batches: their mean is the batch's mean
        dataloader_pin_memory=torch.cuda.is_available(),
        eval_strategy="steps",
        # a share below 1, or a step that is never reached; a run ends with a validation
        eval_steps=config.validate_every if config.validate_every < 1 else float(10**9),
        save_strategy="best",
        metric_for_best_model=config.metric.value,
        greater_is_better=config.metric is not ValidationMetric.CROSS_ENTROPY,
        logging_steps=config.log_every,
        logging_nan_inf_filter=False,
        ddp_find_unused_parameters=False,  # every trained tensor affects every answer
        ddp_broadcast_buffers=False,  # buffers do not change
        ddp_timeout=int(PATIENCE.total_seconds()),
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=not torch.cuda.is_available(),
    )
    # accelerate launch would set it from a file in the user's home.
    mixed = config.precision is not Precision.FP32
    arguments.mixed_precision = config.precision.value if mixed else "no"
    arguments.n_gpu  # noqa: B018 (reading it counts the devices)
    arguments._n_gpu = 1  # one device per process: torchrun, not DataParallel, uses several
    return arguments
