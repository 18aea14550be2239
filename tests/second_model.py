"""A second PairModel, as unlike a vision-language model as one can be: a score for each image.

It has no words, no layers, no adapters and no base; tests of the real tasks run it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import torch
from PIL import Image
from pydantic import Field, TypeAdapter
from torch import Tensor, nn

from lmol.config.fields import Count, node
from lmol.config.schema import AnswersConfig
from lmol.errors import LmolError
from lmol.model.pair_model import PairModel

SIDE = 12


class Thumbnails:
    """The ImageEncoder: small pictures, seen through a frozen random matrix."""

    def __init__(self, look: nn.Linear) -> None:
        self._look = look

    @staticmethod
    def preprocess(images: Sequence[Image.Image]) -> Tensor:
        small = [np.asarray(image.resize((SIDE, SIDE)), dtype=np.float32) for image in images]
        return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2) / 255 - 0.5

    def encode(self, pixels: Tensor) -> Tensor:
        with torch.no_grad():
            features: Tensor = self._look(pixels.flatten(1))
        return features.unsqueeze(1)


class ScoreModel(PairModel):
    """First where the score of A is above that of B; Similar where they are near each other."""

    def __init__(self, width: int, spec: dict[str, Any]) -> None:
        super().__init__()
        self.spec = spec
        frozen = torch.Generator().manual_seed(0)
        look = nn.Linear(3 * SIDE**2, 64)
        look.weight.data = torch.randn(look.weight.shape, generator=frozen) / SIDE
        look.bias.data.zero_()
        self.look = look.requires_grad_(False)
        self.encoder = Thumbnails(self.look)
        self.score = nn.Sequential(nn.Linear(64, width), nn.Tanh(), nn.Linear(width, 1, bias=False))
        self.near = nn.Parameter(torch.tensor(0.5))

    def pair_logits(self, features: Tensor, *, both_orders: bool) -> Tensor:
        scores = self.score(features.mean(2)).squeeze(-1)  # (P, 2)
        gap = scores[:, 0] - scores[:, 1]
        logits = torch.stack([gap, -gap, self.near - gap.abs()], dim=-1)
        orders = [logits, logits[:, [1, 0, 2]]] if both_orders else [logits]
        return torch.stack(orders, dim=1)


@node
class ScoreModelSpec:
    """Settings of a ScoreModel."""

    width: Annotated[Count, Field(description="of its hidden layer")]
    cache_features: Annotated[bool, Field(description="encode an image once")]

    def build(self, question: str, answers: AnswersConfig) -> ScoreModel:
        model = TypeAdapter(ScoreModelSpec).dump_python(self, mode="json")
        return ScoreModel(
            self.width,
            {
                "model": {"_target_": "lmol.model.second.ScoreModelSpec", **model},
                "question": question,
                "answers": TypeAdapter(AnswersConfig).dump_python(answers, mode="json"),
            },
        )

    def problems(self) -> Iterator[LmolError]:
        return iter(())

    def relocated(self, frozen: str) -> "ScoreModelSpec":
        return replace(self)
