"""The memory that a training will need, compared with the machine's before anything is loaded."""

from __future__ import annotations

import logging

import psutil
import torch

from lmol.config import Config, instantiate
from lmol.errors import ModelError
from lmol.model.device import this_device
from lmol.model.load import Load
from lmol.model.spec import Estimates

log = logging.getLogger(__name__)

GB = 1e9


def require_memory(config: Config) -> None:
    """Log what a step of the recipe needs; raise ModelError if that is more than there is."""
    spec = instantiate(config.model, "model")
    load = spec.estimate(config.data.question) if isinstance(spec, Estimates) else None
    if load is None:
        return
    train = config.train
    needed = load.step_bytes(train.batch_pairs, recompute=train.activation_checkpointing)
    free, where = free_memory()
    log.info(
        "Estimate: %.0f M parameters, %.1f M more are trained; prompts of about %d tokens; a step "
        "of %d pairs takes %.1f GB of %.1f GB (%s), and %.2f TFLOP a pair",
        load.parameters / 1e6,
        load.trained / 1e6,
        load.tokens,
        train.batch_pairs,
        needed / GB,
        free / GB,
        where,
        load.flop / 1e12,
    )
    if needed > free:
        raise ModelError(
            "model",
            got=f"a step of {train.batch_pairs} pairs that takes about {needed / GB:.1f} GB",
            expected=f"at most the {free / GB:.1f} GB that are free ({where})",
            remedy=_remedy(load, free, recompute=train.activation_checkpointing),
        )


def free_memory() -> tuple[int, str]:
    """Return the bytes that this process's device has free, and the device in words."""
    device = this_device()
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0], "GPU"
    return int(psutil.virtual_memory().available), "main memory"


def _remedy(load: Load, free: int, *, recompute: bool) -> str:
    if load.step_bytes(1, recompute=True) > free:
        return "choose a smaller model, or model.backbone.quantization=nf4"
    most = max(n for n in range(1, 4097) if n == 1 or load.step_bytes(n, recompute=True) <= free)
    if recompute:
        return f"set train.batch_pairs={most}, and more train.accumulation"
    return f"set train.activation_checkpointing=true train.batch_pairs={most}, or fewer pairs"
