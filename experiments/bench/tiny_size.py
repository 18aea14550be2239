"""Sizes of random models of many families."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Size:
    """Width and number of layers of the tower and of the language model, and the image's side.

    side: a multiple of 28; Qwen3-VL, SmolVLM and Idefics3 take 8/7 of it.
    """

    vision: tuple[int, int]
    text: tuple[int, int]
    head: int
    side: int

    @property
    def vision_config(self) -> dict[str, Any]:
        width, layers = self.vision
        return {
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
        }

    @property
    def text_config(self) -> dict[str, Any]:
        width, layers = self.text
        heads = width // self.head
        return {
            "hidden_size": width,
            "intermediate_size": 3 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": heads // 2,
            "max_position_embeddings": 4096,
            "pad_token_id": 1,
            "bos_token_id": 2,
            "eos_token_id": 3,
        }

    @property
    def qwen_vision(self) -> dict[str, Any]:
        width, layers = self.vision
        return {
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "depth": layers,
            "num_heads": 4,
            "out_hidden_size": self.text[0],
        }

    @property
    def positions(self) -> dict[str, Any]:
        """Return the rotary positions of Qwen: pairs of a head's width for time, row and column."""
        pairs = self.head // 2
        side = 3 * pairs // 8
        sections = [pairs - 2 * side, side, side]
        return {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": sections}

    @property
    def square(self) -> dict[str, int]:
        return {"height": self.side, "width": self.side}

    @property
    def patches(self) -> dict[str, int]:
        return {"image_size": self.side, "patch_size": 14}

    @property
    def pieces(self) -> list[list[int]]:
        return [[self.side, self.side], [self.side, 2 * self.side]]

    @property
    def wide_side(self) -> int:
        return self.side // 7 * 8

    def tokens(self, of: int) -> int:
        """Return the number of tokens of an image, each of `of` x `of` pixels."""
        return (self.side // of) ** 2


TINY = Size(vision=(32, 2), text=(64, 2), head=16, side=56)
