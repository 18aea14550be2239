"""Checks of what this machine supports, made before any weight is read."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from lmol.config import Config, instantiate
from lmol.config.schema import Precision
from lmol.config.task_kinds import TRAINING
from lmol.errors import ConfigError, LmolError
from lmol.model.spec import ModelSpec
from lmol.system.distributed import process_state


def this_device() -> torch.device:
    """Return the device of this process."""
    device = torch.device(process_state().device)
    return torch.device("cpu") if device.type == "cpu" else device


def require_device(config: Config) -> None:
    """Raise ConfigError with every setting that needs a missing device or package."""
    spec: ModelSpec = instantiate(config.model, "model")
    problems = [*_precision_problems(config), *spec.problems()]
    if problems:
        raise ConfigError(problems)


def _precision_problems(config: Config) -> Iterator[LmolError]:
    if config.task.name not in TRAINING:
        return
    cuda = torch.cuda.is_available()
    if config.train.precision is Precision.FP16 and not cuda:
        yield LmolError(
            "train.precision",
            got="fp16 without a CUDA device",
            expected="bf16 or fp32, in which a CPU can train",
            remedy="set train.precision=bf16",
        )
    wants_bf16 = config.train.precision is Precision.BF16
    if wants_bf16 and cuda and not torch.cuda.is_bf16_supported(including_emulation=False):
        yield LmolError(
            "train.precision",
            got="bf16 on a CUDA device that does not compute in it",
            expected="a device of the Ampere generation or later, or fp16, or fp32",
            remedy="set train.precision=fp16 and model.backbone.dtype=fp16",
        )
