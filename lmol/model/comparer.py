"""The adapted model as a classifier of pairs: two images in, three answer logits out.

P pairs, O orders, B ordered pairs, U first images, T tokens an image, L tokens a prompt, V width of
the vision tower, H width of the language model.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lmol.config import instantiate
from lmol.config.schema import AnswersConfig, ModelConfig
from lmol.errors import CheckpointError
from lmol.model.adapter import adapt
from lmol.model.backbone import Base, LlavaBackbone
from lmol.model.features import vision_features
from lmol.model.prefix import CACHE, ReadPrefix, last_position_only
from lmol.model.prompt import Prompt, build_prompt


class Comparer(nn.Module):
    """Answer logits of pairs of images, both orders at once.

    recipe: what build_comparer made it from, as JSON knows it; comparer_of builds it again.
    """

    def __init__(
        self, base: Base, adapted: PeftModel, prompt: Prompt, recipe: dict[str, Any]
    ) -> None:
        super().__init__()
        self.recipe = recipe
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
        output = self.adapted(
            input_ids=self._ids(images, self.prompt.input_ids),
            mm_encoder_outputs=_as_encoded(images.flatten(1, 2)),
            logits_to_keep=1,
            use_cache=False,
        )
        return self._of_answers(output.logits)

    def read_first(self, images: Tensor) -> DynamicCache:
        """Keys and values of the prompt up to and including its first image.

        images: projected, shape (U, T, H).
        """
        config: Any = self.base.model.config.text_config
        cache = DynamicCache(config=config)
        self.adapted(
            input_ids=self._ids(images, self.prompt.input_ids[: self.prompt.prefix]),
            mm_encoder_outputs=_as_encoded(images),
            logits_to_keep=1,
            **{CACHE: cache},
        )
        return cache

    def answer_second(self, first: DynamicCache, rows: Tensor, images: Tensor) -> Tensor:
        """Logits (B, 3) as answer_logits gives them, from the second images (B, T, H) on.

        first: of read_first; rows: shape (B,), which of its images comes first in each pair. What
        nobody reads is not computed: other words, and other positions of the last layer.
        """
        model = self.base.model
        decoder = model.model.language_model
        # Hooks that come and go would have a compiled model compiled again.
        compiled = decoder._compiled_call_impl is not None
        with nullcontext() if compiled else last_position_only(decoder.layers[-1]):
            hidden = model.model(
                input_ids=self._ids(images, self.prompt.input_ids[self.prompt.prefix :]),
                mm_encoder_outputs=_as_encoded(images),
                **{CACHE: ReadPrefix(first, rows)},
            ).last_hidden_state[:, -1]
        return functional.linear(hidden, model.lm_head.weight[list(self.prompt.answer_ids)]).float()

    def generate(self, images: Tensor, **options: Any) -> Any:
        """transformers' own generation after B ordered pairs of projected images (B, 2, T, H)."""
        input_ids = self._ids(images, self.prompt.input_ids)
        return self.adapted.generate(
            input_ids=input_ids,
            attention_mask=torch.ones_like(input_ids),
            mm_encoder_outputs=_as_encoded(images.flatten(1, 2)),
            **options,
        )

    def _ids(self, images: Tensor, input_ids: Tensor) -> Tensor:
        return input_ids.to(images.device).expand(len(images), -1)

    def _of_answers(self, logits: Tensor) -> Tensor:
        return logits[:, -1, list(self.prompt.answer_ids)].float()


def _as_encoded(images: Tensor) -> dict[str, Any]:
    """Projected tokens (B, tokens, H) as the model takes them in place of pixels."""
    flat: Any = [images.flatten(0, 1)]  # a list, as get_image_features returns it
    return {"image": BaseModelOutputWithPooling(pooler_output=flat)}


def build_comparer(
    backbone: LlavaBackbone, config: ModelConfig, question: str, answers: AnswersConfig
) -> Comparer:
    """Load the base, put projector and adapters on it, and derive the answers' tokens."""
    base = backbone.load()
    prompt = build_prompt(base, config.prompt, question, answers)
    adapted = adapt(base.model, config.lora, config.projector)
    comparer = Comparer(base, adapted, prompt, recipe_of(config, question, answers))
    if config.compile:
        base.model.model.language_model.compile()
    return comparer


def recipe_of(config: ModelConfig, question: str, answers: AnswersConfig) -> dict[str, Any]:
    """The arguments of build_comparer, but for the backbone that config.model names."""
    model = TypeAdapter(ModelConfig).dump_python(config, mode="json")
    weights = Path(str(model["backbone"].get("weights")))
    if weights.exists():  # a folder, wherever the recipe is read
        model["backbone"] |= {"weights": str(weights.absolute())}
    return {
        "model": model,
        "question": question,
        "answers": TypeAdapter(AnswersConfig).dump_python(answers, mode="json"),
    }


def comparer_of(recipe: dict[str, Any], weights: str | None = None) -> Comparer:
    """Build the comparer of a recipe anew, untrained. weights: where its base is now.

    Raises CheckpointError where the recipe is none, or one of another version.
    """
    try:
        config = TypeAdapter(ModelConfig).validate_json(json.dumps(recipe["model"]), strict=True)
        answers = TypeAdapter(AnswersConfig).validate_python(recipe["answers"])
        question = str(recipe["question"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            "meta.json",
            got=f"no recipe of a comparer ({str(error).splitlines()[0]})",
            expected="one as this version writes it",
            remedy="load it with the version that it was trained with, or train it again",
        ) from error
    changes = {} if weights is None else {"weights": weights}
    return build_comparer(instantiate({**config.backbone, **changes}), config, question, answers)
