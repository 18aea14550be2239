"""The adapted model as a classifier of pairs: two images in, three answer logits out.

P pairs, O orders, B ordered pairs, U first images, T tokens per image, L tokens of a prompt,
V width of the vision tower, H width of the language model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache

from lmol.config.schema import AnswersConfig
from lmol.model.fingerprint import digest
from lmol.model.names import tensor_group
from lmol.model.pair_model import PairModel
from lmol.model.vlm.adapter import adapt
from lmol.model.vlm.base import Base
from lmol.model.vlm.encoder import VisionTower
from lmol.model.vlm.export import write_merged
from lmol.model.vlm.frozen import base_fingerprint, quantized_layers
from lmol.model.vlm.loading import Backbone
from lmol.model.vlm.prefix import CACHE, ReadPrefix, last_position_only
from lmol.model.vlm.prompt import Prompt, build_prompt
from lmol.model.vlm.scorer import PrefixScorer

if TYPE_CHECKING:
    from lmol.model.vlm.spec import VisionLanguageModel


NO_CARD = "---\n{}\n---\n"
"""An empty model card: PEFT adds to one that is there, or fills a template, which takes longer."""


class Comparer(PairModel):
    """A vision-language model that compares two images in one prompt.

    spec: the arguments of build_comparer, as JSON values; build_model builds it again.
    """

    frozen_from = "model.backbone.weights"
    weights_file = "adapter_model.safetensors"

    def __init__(
        self, base: Base, adapted: PeftModel, prompt: Prompt, spec: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.spec = spec
        self.base = base
        self.encoder = VisionTower(base)
        self.adapted = adapted
        self.prompt = prompt
        self.image_token = base.image_token

    @property
    def device(self) -> torch.device:
        return self.base.model.device

    def enable_activation_checkpointing(self) -> None:
        """Recompute activations in the backward pass: less memory, more time."""
        self.base.model.activation_checkpointing_enable({"use_reentrant": False})

    def pair_logits(self, features: Tensor, *, both_orders: bool) -> Tensor:
        """Return logits (P, O, 3) from features (P, 2, T, V)."""
        images = self.project(features)
        orders = [images, images.flip(1)] if both_orders else [images]
        logits = self.answer_logits(torch.stack(orders, dim=1).flatten(0, 1))
        return logits.unflatten(0, (-1, len(orders)))

    def scorer(self, features: Iterable[Tensor], num: int, memory_gb: float) -> PrefixScorer:
        """Return a scorer of num images; it reads a first image's prompt only once."""
        return PrefixScorer(self, features, num, memory_gb)

    def parameter_group(self, name: str) -> str:
        """Return lora, projector or projector_bias."""
        if tensor_group(name) != "projector":
            return "lora"
        return "projector_bias" if name.endswith(".bias") else "projector"

    def trained_state(self) -> dict[str, Tensor]:
        """Return adapter and projector under PEFT's names."""
        return get_peft_model_state_dict(self.adapted, save_embedding_layers=False)

    def load_trained_state(self, state: Mapping[str, Tensor]) -> None:
        """Load the tensors of trained_state; PEFT ignores names that do not fit."""
        set_peft_model_state_dict(self.adapted, dict(state))

    def save_trained(self, folder: Path) -> None:
        """Write adapter_model.safetensors, adapter_config.json and the processor."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "README.md").write_text(NO_CARD)
        self.adapted.save_pretrained(
            str(folder), safe_serialization=True, save_embedding_layers=False
        )
        (folder / "README.md").unlink()
        self.base.processor.save_pretrained(folder)

    @property
    def prompt_text(self) -> str:
        """Return the rendered prompt."""
        return self.prompt.text

    def write_stock(self, folder: Path) -> tuple[Tensor, Tensor]:
        """Write a stock model with adapters and projector merged; see write_merged."""
        return write_merged(self, folder)

    def fingerprint(self) -> dict[str, str]:
        """Return the digests of its base."""
        return base_fingerprint(self.base)

    def identity(self) -> str:
        """Return the SHA-256 (hexadecimal) of base, trained tensors, quantisation and prompt."""
        ids = torch.cat([self.prompt.input_ids.cpu(), torch.tensor(self.prompt.answer_ids)])
        tensors = sorted(self.trained_state().items())
        seed = f"{self.fingerprint()} {quantized_layers(self)}"
        return digest([("prompt", ids), *tensors], seed=seed)

    def project(self, features: Tensor) -> Tensor:
        """Return projected images (..., S, H) of vision features (..., T, V)."""
        return self.base.project(features)

    def answer_logits(self, images: Tensor) -> Tensor:
        """Return logits (B, 3) of ordered pairs of projected images (B, 2, T, H), in float32.

        The head runs only at the last position: three numbers are needed, not L x vocabulary.
        """
        output = self.adapted(
            input_ids=self._ids(images, self.prompt.input_ids),
            logits_to_keep=1,
            use_cache=False,
            **self.base.encoded(images.flatten(0, 1)),
            **self._positions(images, slice(None)),
        )
        return output.logits[:, -1, list(self.prompt.answer_ids)].float()

    def read_first(self, images: Tensor) -> DynamicCache:
        """Return keys and values of the prompt up to and including its first image.

        images: projected, shape (U, T, H).
        """
        config: Any = self.base.model.config.get_text_config()
        cache = DynamicCache(config=config)
        self.adapted(
            input_ids=self._ids(images, self.prompt.input_ids[: self.prompt.prefix]),
            logits_to_keep=1,
            **self.base.encoded(images),
            **self._positions(images, slice(self.prompt.prefix)),
            **{CACHE: cache},
        )
        return cache

    def answer_second(self, first: DynamicCache, rows: Tensor, images: Tensor) -> Tensor:
        """Return logits (B, 3) like answer_logits, from the second images (B, T, H) on.

        first: from read_first; rows: shape (B,), the first image of each pair as a row of `first`.
        Unused values are not computed: other words, and other positions of the last layer.
        """
        model = self.base.model
        decoder = self.base.language_model
        # Temporary hooks would cause a compiled model to be compiled again.
        compiled = decoder._compiled_call_impl is not None
        with nullcontext() if compiled else last_position_only(decoder.layers[-1]):
            hidden = model.model(
                input_ids=self._ids(images, self.prompt.input_ids[self.prompt.prefix :]),
                **self.base.encoded(images),
                **self._positions(images, slice(self.prompt.prefix, None)),
                **{CACHE: ReadPrefix(first, rows)},
            ).last_hidden_state[:, -1]
        return functional.linear(hidden, model.lm_head.weight[list(self.prompt.answer_ids)]).float()

    def generate(self, images: Tensor, **options: Any) -> Any:
        """Generate with transformers after B ordered pairs of projected images (B, 2, T, H)."""
        input_ids = self._ids(images, self.prompt.input_ids)
        return self.adapted.generate(
            input_ids=input_ids,
            attention_mask=torch.ones_like(input_ids),
            **self.base.encoded(images.flatten(0, 1)),
            **self.kinds(input_ids),
            **options,
        )

    def kinds(self, ids: Tensor) -> dict[str, Tensor]:
        """Return the kinds of tokens of prompts (B, L), for stock models that take them."""
        return {name: one.to(ids.device).expand_as(ids) for name, one in self.prompt.kinds.items()}

    def _ids(self, images: Tensor, input_ids: Tensor) -> Tensor:
        return input_ids.to(images.device).expand(len(images), -1)

    def _positions(self, images: Tensor, part: slice) -> dict[str, Tensor]:
        """Return the arguments that a part of the prompt takes beside its ids."""
        return {
            name: value[..., part].to(images.device).expand(*value.shape[:-2], len(images), -1)
            for name, value in self.prompt.positions.items()
        }


def build_comparer(
    backbone: Backbone, config: VisionLanguageModel, question: str, answers: AnswersConfig
) -> Comparer:
    """Load the base, put projector and adapters on it, and derive the answers' tokens."""
    base = backbone.load()
    prompt = build_prompt(base, config.prompt, question, answers)
    adapted = adapt(base, config.lora, config.projector)
    comparer = Comparer(base, adapted, prompt, config.stored(question, answers))
    if config.compile:
        base.language_model.compile()
    return comparer
