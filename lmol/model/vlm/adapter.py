"""Trained parts on a frozen base: LoRA on the language model's attention, and the projector."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

from peft import LoraConfig as PeftLoraConfig
from peft import PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn

from lmol.config.schema import ProjectorStart
from lmol.errors import ModelError
from lmol.model.vlm.base import Base

if TYPE_CHECKING:
    from lmol.model.vlm.spec import LoraConfig


def adapt(base: Base, lora: LoraConfig, projector: ProjectorStart) -> PeftModel:
    """Put a projector and adapters on a frozen base; nothing else can be trained.

    The new projector is set before PEFT copies it: the copy is trained and saved. Raises
    ModelError if the pattern matches nothing, or modules outside the language model.
    """
    model = base.model
    if projector is ProjectorStart.FRESH:
        model.set_submodule(base.projector_path, base.fresh_projector())
    targets = matching_modules(base, lora.targets)
    adapted = with_adapters(model, lora, base.projector_path)
    layers = {name for name, module in model.named_modules() if isinstance(module, LoraLayer)}
    assert layers == targets, "PEFT adapted other modules than the pattern names"
    return adapted


def with_adapters(model: Any, lora: LoraConfig, projector_path: str) -> PeftModel:
    """Return a model with adapters and a trained copy of its projector, in fp32."""
    peft_config = PeftLoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        modules_to_save=[projector_path.removeprefix("model.")],
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        # PEFT 0.21 asks transformers 5 for is_gradient_checkpointing, a name that it deprecates.
        warnings.simplefilter("ignore", FutureWarning)
        adapted = get_peft_model(model, peft_config)
    _train_in_fp32(adapted)
    return adapted


def _train_in_fp32(adapted: nn.Module) -> None:
    """Convert trained parameters to fp32, which keeps small steps; PEFT converts only adapters."""
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def matching_modules(base: Base, pattern: str) -> set[str]:
    """Return the full paths of the linear layers that match the pattern, all in the language model.

    Raises ModelError otherwise: bare names such as q_proj exist in the vision tower too.
    """
    names = {
        name
        for name, module in base.model.named_modules()
        if isinstance(module, nn.Linear) and re.fullmatch(pattern, name)
    }
    inside = f"{base.language_path}."
    outside = sorted(name for name in names if not name.startswith(inside))
    if not names or outside:
        raise ModelError(
            "model.lora.targets",
            got=f"{pattern!r}, which matches {outside[0] if outside else 'no linear layer'}",
            expected="full paths of linear layers of the language model",
            remedy=rf"use for example .*{inside.split('.')[-2]}\..*\.(q|k|v|o)_proj",
        )
    return names
