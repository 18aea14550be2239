"""Shapes of real models, with which random weights of the same size are made.

Sizes are those of the models' published configurations; tests compare the numbers of parameters
with those of their names.
"""

from __future__ import annotations

from typing import Any

import transformers

hf: Any = transformers

SO400M = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
}


def _text(
    width: int, inner: int, layers: int, heads: tuple[int, int], words: int, **more: Any
) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1],
        "vocab_size": words,
        "max_position_embeddings": 8192,
        **more,
    }


def _smolvlm(vision: dict[str, Any], side: int, patch: int, scale: int, text: Any) -> Any:
    return hf.SmolVLMConfig(
        vision_config={**vision, "image_size": side, "patch_size": patch},
        text_config=hf.LlamaConfig(**text),
        scale_factor=scale,
        image_token_id=49190,
        pad_token_id=2,
        tie_word_embeddings=False,
    )


SIGLIP_BASE = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
}


def smolvlm2_256m() -> Any:
    text = _text(576, 1536, 30, (9, 3), 49280, tie_word_embeddings=False)
    return _smolvlm(SIGLIP_BASE, 512, 16, 4, text)


def smolvlm2_500m() -> Any:
    text = _text(960, 2560, 32, (15, 5), 49280, tie_word_embeddings=False)
    return _smolvlm(SIGLIP_BASE, 512, 16, 4, text)


def smolvlm2_2_2b() -> Any:
    text = _text(2048, 8192, 24, (32, 32), 49280, tie_word_embeddings=False)
    return _smolvlm(SO400M, 384, 14, 3, text)


def llava_1_5_7b() -> Any:
    return hf.LlavaConfig(
        vision_config={
            "model_type": "clip_vision_model",
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "image_size": 336,
            "patch_size": 14,
        },
        text_config=hf.LlamaConfig(**_text(4096, 11008, 32, (32, 32), 32064)),
        image_token_index=32000,
    )


def _qwen3_vl(text: dict[str, Any], vision: dict[str, Any], tied: bool) -> Any:
    return hf.Qwen3VLConfig(
        vision_config={**vision, "patch_size": 16, "deepstack_visual_indexes": [5, 11, 17]},
        text_config={
            **text,
            "head_dim": 128,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5e6,
                "mrope_section": [24, 20, 20],
                "mrope_interleaved": True,
            },
        },
        tie_word_embeddings=tied,
    )


def _qwen3_tower(out: int) -> dict[str, Any]:
    return {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "depth": 24,
        "num_heads": 16,
        "out_hidden_size": out,
    }


def qwen3_vl_2b() -> Any:
    return _qwen3_vl(_text(2048, 6144, 28, (16, 8), 151936), _qwen3_tower(2048), tied=True)


def qwen3_vl_4b() -> Any:
    return _qwen3_vl(_text(2560, 9728, 36, (32, 8), 151936), _qwen3_tower(2560), tied=True)


def qwen3_vl_8b() -> Any:
    vision = {**_qwen3_tower(4096), "hidden_size": 1152, "intermediate_size": 4304, "depth": 27}
    return _qwen3_vl(_text(4096, 12288, 36, (32, 8), 151936), vision, tied=False)


def internvl3_5_1b() -> Any:
    return hf.InternVLConfig(
        vision_config={
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "image_size": [448, 448],
            "patch_size": [14, 14],
        },
        text_config=hf.Qwen3Config(
            **_text(1024, 3072, 28, (16, 8), 151936, head_dim=128, tie_word_embeddings=False)
        ),
        tie_word_embeddings=False,
    )


SHAPES = {
    shape.__name__: shape
    for shape in (
        smolvlm2_256m,
        smolvlm2_500m,
        internvl3_5_1b,
        qwen3_vl_2b,
        smolvlm2_2_2b,
        qwen3_vl_4b,
        llava_1_5_7b,
        qwen3_vl_8b,
    )
}
