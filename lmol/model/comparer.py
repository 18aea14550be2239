"""The adapted model as a classifier of pairs: two images in, three answer logits out.

P pairs, O orders, T tokens an image, L tokens a prompt, V width of the vision tower, H width of the
language model.
"""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lmol.config.schema import AnswersConfig, ModelConfig
from lmol.model.adapter import adapt
from lmol.model.backbone import Base, LlavaBackbone
from lmol.model.features import vision_features
from lmol.model.prompt import Prompt, build_prompt


class Comparer(nn.Module):
    """Answer logits of pairs of images, both orders at once."""

    def __init__(self, base: Base, adapted: PeftModel, prompt: Prompt) -> None:
        super().__init__()
        self.base = base
        self.adapted = adapted
        self.prompt = prompt

    @property
    def device(self) -> torch.device:
        return self.base.model.device

    def enable_activation_checkpointing(self) -> None:
        """Recompute activations in the backward pass: less memory, more time."""
        self.base.model.activation_checkpointing_enable({"use_reentrant": False})

    def forward(
        self,
        features: Tensor | None = None,
        pixel_values: Tensor | None = None,
        both_orders: bool = True,
    ) -> Tensor:
        """Logits (P, O, 3) of First, Second, Similar; order 0 is (A, B), order 1 is (B, A).

        Exactly one of features (P, 2, T, V) and pixel_values (P, 2, 3, height, width), A before B.
        """
        if features is None:
            assert pixel_values is not None, "a batch holds features or pixel_values"
            features = vision_features(self.base, pixel_values.flatten(0, 1)).unflatten(0, (-1, 2))
        images = self.project(features)
        orders = [images, images.flip(1)] if both_orders else [images]
        logits = self.answer_logits(torch.stack(orders, dim=1).flatten(0, 1))
        return logits.unflatten(0, (-1, len(orders)))

    def project(self, features: Tensor) -> Tensor:
        """Vision features (..., T, V) to embeddings (..., T, H) by the trained projector."""
        projector = self.base.model.model.multi_modal_projector
        weight = projector.linear_1.weight
        projected: Tensor = projector(features.to(weight.device, weight.dtype))
        return projected

    def answer_logits(self, images: Tensor) -> Tensor:
        """Logits (B, 3) of B ordered pairs of projected images (B, 2, T, H), in float32.

        The head runs at the last position only: three numbers are wanted, not L x vocabulary.
        """
        flat: Any = [images.flatten(0, 2)]  # a list, as get_image_features returns it
        output = self.adapted(
            input_ids=self.prompt.input_ids.to(images.device).expand(len(images), -1),
            mm_encoder_outputs={"image": BaseModelOutputWithPooling(pooler_output=flat)},
            logits_to_keep=1,
            use_cache=False,
        )
        return output.logits[:, -1, list(self.prompt.answer_ids)].float()


def build_comparer(
    backbone: LlavaBackbone, config: ModelConfig, question: str, answers: AnswersConfig
) -> Comparer:
    """Load the base, put projector and adapters on it, and derive the answers' tokens."""
    base = backbone.load()
    prompt = build_prompt(base, config.prompt, question, answers)
    comparer = Comparer(base, adapt(base.model, config.lora, config.projector), prompt)
    if config.compile:
        base.model.model.language_model.compile()
    return comparer
