"""The interface of models that answer First, Second or Similar about two images.

P pairs, O orders, B ordered pairs, N images, U first images, T tokens per image, V width of their
features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from lmol.errors import ModelError
from lmol.model.fingerprint import digest, samples


class ImageEncoder(Protocol):
    """Frozen encoder that sees a single image: the features of an image never change."""

    def preprocess(self, images: Sequence[Image.Image]) -> Tensor:
        """Return pixels (N, 3, height, width) of RGB images."""

    def encode(self, pixels: Tensor) -> Tensor:
        """Return features (N, T, V) of pixels (N, 3, height, width), without gradients."""


class PairBlock(Protocol):
    """A set of first images whose shared computation is done once."""

    def logits(self, which: Tensor, second: Tensor) -> Tensor:
        """Return logits (B, 3). which: (B,) of the first images; second: rows (B,)."""


class PairScorer(Protocol):
    """Inference over a table of N images, addressed by row."""

    def __len__(self) -> int:
        """Return N."""

    def block(self, first: Tensor) -> PairBlock:
        """Read first images, rows (U,)."""


@dataclass(frozen=True, kw_only=True)
class Generated:
    """Generated answers to B ordered pairs.

    scores: (B, 3), of the three answers. answers: (B,), the generated class. invalid: (B,), whether
    generation without constraint gives another word.
    """

    scores: Tensor
    answers: Tensor
    invalid: Tensor


@runtime_checkable
class Generates(Protocol):
    """A scorer that can also answer by text generation."""

    def generate(self, first: Tensor, second: Tensor) -> Generated:
        """Answer ordered pairs; rows (B,) each."""


@runtime_checkable
class Exportable(Protocol):
    """A model that can be exported for stock classes."""

    @property
    def prompt_text(self) -> str:
        """Return the rendered prompt."""

    def write_stock(self, folder: Path) -> tuple[Tensor, Tensor]:
        """Write the model and read it back; return answer logits (n, 3) before and after.

        The model cannot be used afterwards. Raises ModelError if the logits differ by more than
        rounding.
        """


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownPart:
    """The images of one part of a training fold, and labelled pairs of them.

    images: N rows of the data's table (image[, score][, subject], ...). features: (N, T, V), in the
    order of the rows. pairs: their pairs, as in lmol.data.pairs_table.
    """

    images: pd.DataFrame
    features: Tensor
    pairs: pd.DataFrame


@runtime_checkable
class Fitted(Protocol):
    """A model that is fitted at once, without optimizer steps."""

    def fit(self, training: KnownPart, validation: KnownPart) -> dict[str, float]:
        """Set the trained tensors; return facts for the log and the manifest.

        Weights are fitted to `training`; only what the answers need besides, such as a tie band, is
        fitted to `validation`. Raises DataError if the data lack what it needs.
        """


class PairModel(nn.Module, ABC):
    """A model that classifies pairs of images from the features of both.

    spec: the arguments of build_model, as JSON values. encoder: of its images. frozen_from: the
    setting that names its frozen weights. weights_file: the file in a checkpoint. image_token: the
    token id that stands for images, if the model has words.
    """

    spec: Mapping[str, Any]
    encoder: ImageEncoder
    frozen_from = "model"
    weights_file = "model.safetensors"
    image_token: int | None = None

    @property
    def device(self) -> torch.device:
        """Return the device on which the model computes."""
        return next(self.parameters()).device

    def forward(
        self,
        features: Tensor | None = None,
        pixel_values: Tensor | None = None,
        both_orders: bool = True,
    ) -> Tensor:
        """Return logits (P, O, 3) of First, Second, Similar; order 0 is (A, B), order 1 (B, A).

        Pass either features (P, 2, T, V) or pixel_values (P, 2, 3, height, width), A before B.
        """
        if features is None:
            assert pixel_values is not None, "a batch holds features or pixel_values"
            features = self.encoder.encode(pixel_values.flatten(0, 1)).unflatten(0, (-1, 2))
        return self.pair_logits(features, both_orders=both_orders)

    @abstractmethod
    def pair_logits(self, features: Tensor, *, both_orders: bool) -> Tensor:
        """Return logits (P, O, 3) from features (P, 2, T, V)."""

    def scorer(self, features: Iterable[Tensor], num: int, memory_gb: float) -> PairScorer:
        """Return a scorer of num images, whose features (n, T, V) come in batches.

        memory_gb: memory limit (10^9 bytes), for models that keep more than the features.
        """
        return FeatureScorer(self, torch.cat([batch.cpu() for batch in features]))

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the trained parameters by group; optim.lr_<group> is a group's learning rate.

        A group whose name ends in _bias has the learning rate of the group before it and no weight
        decay.
        """
        groups: dict[str, list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                groups.setdefault(self.parameter_group(name), []).append(parameter)
        return groups

    def parameter_group(self, name: str) -> str:
        """Return the group of a trained parameter, by its full name."""
        return "model_bias" if name.endswith("bias") else "model"

    def trained_state(self) -> dict[str, Tensor]:
        """Return the trained tensors under the names that a checkpoint gives them."""
        return {n: p.detach() for n, p in self.named_parameters() if p.requires_grad}

    def load_trained_state(self, state: Mapping[str, Tensor]) -> None:
        """Load trained tensors; their names and shapes were compared before."""
        self.load_state_dict(dict(state), strict=False)

    def save_trained(self, folder: Path) -> None:
        """Write weights_file, and the files that other programs need with it, into a new folder."""
        folder.mkdir(parents=True)
        save_file({k: v.contiguous() for k, v in self.trained_state().items()},
                  folder / self.weights_file)  # fmt: skip

    def fingerprint(self) -> dict[str, str]:
        """Return SHA-256 digests (hexadecimal) of samples of every tensor that is not trained.

        A checkpoint fits a model if the digests that both have agree. Buffers count too: one that
        changes in training belongs to trained_state.
        """
        trained = self.trained_state()
        frozen = {n: tensor for n, tensor in self.state_dict().items() if n not in trained}
        return {"frozen": digest((n, samples(tensor)) for n, tensor in frozen.items())}

    def identity(self) -> str:
        """Return a SHA-256 (hexadecimal) of everything that determines the answers."""
        return digest(sorted(self.trained_state().items()), seed=str(self.fingerprint()))

    def enable_activation_checkpointing(self) -> None:
        """Recompute activations in the backward pass: less memory, more time.

        Raises ModelError if the model cannot.
        """
        raise ModelError(
            "train.activation_checkpointing",
            got=f"true with {type(self).__name__}, which keeps its activations",
            expected="false, or a model that recomputes them",
            remedy="leave it out, or lower train.batch_pairs",
        )


class FeatureScorer:
    """The default PairScorer: keeps the features and runs one forward per batch."""

    def __init__(self, model: PairModel, features: Tensor) -> None:
        self._model, self._features = model, features

    def __len__(self) -> int:
        return len(self._features)

    def block(self, first: Tensor) -> FeatureBlock:
        """Take the features of first images, rows (U,)."""
        return FeatureBlock(self._model, self._features, first)


class FeatureBlock:
    """The default PairBlock: the features of some first images."""

    def __init__(self, model: PairModel, features: Tensor, first: Tensor) -> None:
        self._model, self._features, self._first = model, features, first

    def logits(self, which: Tensor, second: Tensor) -> Tensor:
        """Return logits (B, 3). which: (B,) of the first images; second: rows (B,)."""
        pairs = torch.stack([self._features[self._first[which]], self._features[second]], dim=1)
        return self._model.pair_logits(pairs.to(self._model.device), both_orders=False)[:, 0]
