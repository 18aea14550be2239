"""Make the tiny base, lmol/model/tiny_base: a stock LLaVA small enough for a CPU and a package.

    python -m lmol.experiments.tiny_base.make --folder lmol/model/tiny_base

Its vision tower has learnt to predict drawing parameters (tower.py); its language model and
projector stay random. It takes about half an hour on one core. The weights are stored in float16,
which halves the file, and loaded in the configured precision.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from transformers import (
    CLIPVisionModel,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from lmol.experiments.tiny_base.processor import build_processor
from lmol.experiments.tiny_base.tower import LAYER, VISION, train_tower

TEXT_SEED = 0
INITIALIZER_RANGE = 0.08
"""Four times Llama's: in such a small random model, attention with Llama's value is nearly uniform,
and low-rank adapters cannot use it well (Pearson .943 against .948 over two folds)."""


def text_config(vocabulary: int) -> LlamaConfig:
    """Return the configuration of a two-layer Llama of width 64."""
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        initializer_range=INITIALIZER_RANGE,
        tie_word_embeddings=False,
        pad_token_id=1,
        bos_token_id=2,
        eos_token_id=3,
    )


def build_base(tower: CLIPVisionModel | None) -> LlavaForConditionalGeneration:
    """Return a stock LLaVA with the given tower, or a random one."""
    processor = build_processor()
    torch.manual_seed(TEXT_SEED)
    config = LlavaConfig(
        vision_config=VISION,
        text_config=text_config(len(processor.tokenizer)),
        image_token_index=processor.image_token_id,
        projector_hidden_act="gelu_pytorch_tanh",
        vision_feature_layer=LAYER,
        vision_feature_select_strategy="default",
        image_seq_length=(VISION.image_size // VISION.patch_size) ** 2,
    )
    model = LlavaForConditionalGeneration(config)
    if tower is not None:
        model.model.vision_tower.load_state_dict(tower.state_dict())
    model.generation_config = GenerationConfig(pad_token_id=1, bos_token_id=2, eos_token_id=3)
    return model


def main() -> None:
    """Train the tower and write the base."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=60_000)
    parser.add_argument("--steps", type=int, default=9_000, help="0: a random tower")
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    arguments = parser.parse_args()
    tower = None
    if arguments.steps:
        tower = train_tower(arguments.faces, arguments.steps, arguments.batch, arguments.lr)
    build_base(tower).half().save_pretrained(arguments.folder)
    build_processor().save_pretrained(arguments.folder)


if __name__ == "__main__":
    main()
