"""Tiny random models of stock classes with real processors, one a family, made offline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from lmol.experiments.bench.tiny_size import TINY, Size
from lmol.experiments.bench.tiny_words import TURNS, tokenizer
from lmol.model.vlm.processor import without_videos

hf: Any = transformers
"""Its classes take settings that their annotations do not show."""

QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"


def llava_onevision(size: Size) -> tuple[Any, Any]:
    words = tokenizer(image_token="<image>", video_token="<video>")
    processor = without_videos(hf.LlavaOnevisionProcessor)(
        LlavaOnevisionImageProcessorPil(size=size.square, image_grid_pinpoints=size.pieces),
        words,
        None,
        num_image_tokens=size.tokens(14),
        vision_feature_select_strategy="full",
        chat_template=TURNS.format(image="<image>"),
    )
    config = hf.LlavaOnevisionConfig(
        vision_config=hf.SiglipVisionConfig(**size.vision_config, **size.patches),
        text_config=hf.Qwen2Config(**size.text_config, vocab_size=len(words)),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        video_token_index=words.convert_tokens_to_ids("<video>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_grid_pinpoints=size.pieces,
    )
    return config, processor


def qwen2_5_vl(size: Size) -> tuple[Any, Any]:
    words, processor = _qwen(hf.Qwen2_5_VLProcessor, patch_size=14)
    config = hf.Qwen2_5_VLConfig(
        vision_config={
            **size.qwen_vision,
            "window_size": 56,
            "fullatt_block_indexes": [1],
            "patch_size": 14,
        },
        text_config={
            **size.text_config,
            "vocab_size": len(words),
            "rope_parameters": size.positions,
        },
        **_qwen_tokens(words),
    )
    return config, processor


def qwen3_vl(size: Size) -> tuple[Any, Any]:
    words, processor = _qwen(hf.Qwen3VLProcessor, patch_size=16)
    config = hf.Qwen3VLConfig(
        vision_config={
            **size.qwen_vision,
            "patch_size": 16,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, size.vision[1] - 1],
        },
        text_config={
            **size.text_config,
            "head_dim": size.head,
            "vocab_size": len(words),
            "rope_parameters": {**size.positions, "mrope_interleaved": True},
        },
        **_qwen_tokens(words),
    )
    return config, processor


def _qwen(stock: Any, patch_size: int) -> tuple[Any, Any]:
    words = tokenizer(
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        vision_start_token="<|vision_start|>",
        vision_end_token="<|vision_end|>",
    )
    images = Qwen2VLImageProcessorPil(patch_size=patch_size, min_pixels=56**2, max_pixels=28**4)
    template = TURNS.format(image=QWEN_IMAGE)
    return words, without_videos(stock)(images, words, None, chat_template=template)


def _qwen_tokens(words: Any) -> dict[str, Any]:
    names = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    return {key: words.convert_tokens_to_ids(name) for key, name in names.items()}


def internvl(size: Size) -> tuple[Any, Any]:
    words = tokenizer(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    processor = without_videos(hf.InternVLProcessor)(
        GotOcr2ImageProcessorPil(size=size.square, crop_to_patches=False),
        words,
        None,
        image_seq_length=size.tokens(28),
        chat_template=TURNS.format(image="<IMG_CONTEXT>"),
    )
    config = hf.InternVLConfig(
        vision_config={**size.vision_config, "image_size": 2 * [size.side], "patch_size": [14, 14]},
        text_config=hf.Qwen2Config(**size.text_config, vocab_size=len(words)),
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=size.tokens(28),
    )
    return config, processor


def _idefics3(size: Size, stock: Any, images: Any, config: Any, *more: Any) -> tuple[Any, Any]:
    words = tokenizer(
        image_token="<image>",
        fake_image_token="<fake_token_around_image>",
        global_image_token="<global-img>",
        end_of_utterance_token="<end_of_utterance>",
        video_token="<video>",
    )
    processor = stock(
        images(
            size={"longest_edge": size.wide_side},
            max_image_size={"longest_edge": size.wide_side},
            do_image_splitting=False,
        ),
        words,
        *more,
        image_seq_len=size.tokens(28),
        chat_template=TURNS.format(image="<image>"),
    )
    made = config(
        vision_config={**size.vision_config, "image_size": size.wide_side, "patch_size": 16},
        text_config=hf.LlamaConfig(**size.text_config, vocab_size=len(words)),
        image_token_id=words.convert_tokens_to_ids("<image>"),
        pad_token_id=1,
        scale_factor=2,
    )
    return made, processor


def idefics3(size: Size) -> tuple[Any, Any]:
    return _idefics3(size, hf.Idefics3Processor, Idefics3ImageProcessorPil, hf.Idefics3Config)


def smolvlm(size: Size) -> tuple[Any, Any]:
    stock = without_videos(hf.SmolVLMProcessor)
    return _idefics3(size, stock, SmolVLMImageProcessorPil, hf.SmolVLMConfig, None)


def gemma3(size: Size) -> tuple[Any, Any]:
    words = tokenizer(
        image_token="<image_soft_token>", boi_token="<start_of_image>", eoi_token="<end_of_image>"
    )
    processor = hf.Gemma3Processor(
        Gemma3ImageProcessorPil(size=size.square),
        words,
        image_seq_length=size.tokens(28),
        chat_template=TURNS.format(image="<start_of_image>"),
    )
    config = hf.Gemma3Config(
        vision_config=hf.SiglipVisionConfig(**size.vision_config, **size.patches),
        text_config=hf.Gemma3TextConfig(
            **size.text_config, head_dim=size.head, vocab_size=len(words)
        ),
        mm_tokens_per_image=size.tokens(28),
        image_token_index=words.convert_tokens_to_ids("<image_soft_token>"),
        boi_token_index=words.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_index=words.convert_tokens_to_ids("<end_of_image>"),
    )
    return config, processor


def paligemma(size: Size) -> tuple[Any, Any]:
    words = tokenizer(image_token="<image>")
    images: Any = SiglipImageProcessorPil(size=size.square)
    images.image_seq_length = size.tokens(14)
    processor = hf.PaliGemmaProcessor(images, words, chat_template=TURNS.format(image="<image>"))
    config = hf.PaliGemmaConfig(
        vision_config={**size.vision_config, **size.patches, "projection_dim": size.text[0]},
        text_config=hf.Gemma2Config(**size.text_config, head_dim=size.head, vocab_size=len(words)),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        projection_dim=size.text[0],
    )
    return config, processor


MAKERS: dict[str, Callable[[Size], tuple[Any, Any]]] = {
    maker.__name__: maker
    for maker in (
        llava_onevision,
        qwen2_5_vl,
        qwen3_vl,
        internvl,
        smolvlm,
        idefics3,
        gemma3,
        paligemma,
    )
}


def write_tiny(name: str, folder: Path, size: Size = TINY) -> None:
    """Write a random model of a family, and its processor."""
    config, processor = MAKERS[name](size)
    torch.manual_seed(0)
    model = hf.AutoModelForImageTextToText.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():  # also those that begin as zeros
            parameter.normal_(0.0, 0.1 if parameter.ndim > 1 else 0.3)
    model.generation_config = hf.GenerationConfig(pad_token_id=1, bos_token_id=2, eos_token_id=3)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
