"""Inference of a vision-language model: all pairs with the same first image share its prefix.

Greedy generation of one new token gives the same answers, slower. It exists to show that, and to
count how often a model without constraint says something other than an answer.

N images, U first images, B ordered pairs, T tokens per image, V width of the vision tower, H of the
language model.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lmol.model.pair_model import Generated
from lmol.system.disk import require_space

if TYPE_CHECKING:
    from lmol.model.vlm.comparer import Comparer


class PrefixScorer:
    """N images as the language model takes them, computed once for all questions about them."""

    def __init__(
        self, model: Comparer, features: Iterable[Tensor], num: int, memory_gb: float
    ) -> None:
        self.model = model
        self._embedded = embed(model, features, num, memory_gb)

    def __len__(self) -> int:
        return len(self._embedded)

    def block(self, first: Tensor) -> PrefixBlock | WholeBlock:
        """Read the prompt up to and including each first image, rows (U,), if it can be shared."""
        if not self.model.base.shares_prefix:
            return WholeBlock(self, first)
        return PrefixBlock(self, self.model.read_first(self.images(first)))

    def generate(self, first: Tensor, second: Tensor) -> Generated:
        """Answer ordered pairs by generation; rows (B,) each."""
        return generate_answers(self.model, self.images(torch.stack([first, second], 1)))

    def images(self, rows: Tensor) -> Tensor:
        """Return projected images on the model's device, for rows of any shape."""
        return self._embedded[rows].to(self.model.device)


class PrefixBlock:
    """First images with the keys and values of their prompts."""

    def __init__(self, scorer: PrefixScorer, prefix: Any) -> None:
        self._scorer, self._prefix = scorer, prefix

    def logits(self, which: Tensor, second: Tensor) -> Tensor:
        """Return logits (B, 3). which: (B,) of the first images; second: rows (B,)."""
        seconds = self._scorer.images(second)
        follows = which.to(seconds.device)
        return self._scorer.model.answer_second(self._prefix, follows, seconds)


class WholeBlock:
    """First images of a model that reads each prompt as a whole. first: rows (U,)."""

    def __init__(self, scorer: PrefixScorer, first: Tensor) -> None:
        self._scorer, self._first = scorer, first

    def logits(self, which: Tensor, second: Tensor) -> Tensor:
        """Return logits (B, 3). which: (B,) of the first images; second: rows (B,)."""
        pairs = torch.stack([self._first[which], second], dim=1)
        return self._scorer.model.answer_logits(self._scorer.images(pairs))


def generate_answers(model: Comparer, images: Tensor) -> Generated:
    """Answer B ordered pairs of projected images (B, 2, T, H) by one of the answers' tokens."""
    ids = list(model.prompt.answer_ids)
    output = model.generate(
        images,
        max_new_tokens=1,
        do_sample=False,
        prefix_allowed_tokens_fn=lambda row, tokens: ids,
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
    )
    tokens, unconstrained = output.sequences[:, -1].cpu(), output.logits[0].argmax(-1).cpu()
    wanted = torch.tensor(ids)
    return Generated(
        scores=output.scores[0][:, ids].float().cpu(),
        answers=(tokens[:, None] == wanted).long().argmax(1),
        invalid=~torch.isin(unconstrained, wanted),
    )


def embed(model: Comparer, features: Iterable[Tensor], num: int, memory_gb: float) -> Tensor:
    """Return projected features (N, T, H) of num images, whose features come in batches.

    They are in host memory and in the language model's precision, to which it would cast them
    anyway: 1,100 images of LLaVA-1.5-7B take 5.2 GB in bf16. A batch is moved to the device when
    needed, in a hundredth of the time of its forward. If they exceed memory_gb (10^9 bytes), they
    are in a temporary file; the system keeps as much of it in memory as there is room for.
    """
    dtype, start, embedded = model.base.embedding_dtype, 0, torch.empty(0)
    for batch in features:
        part = model.project(batch).to(dtype)
        if start == 0:
            embedded = room(torch.Size([num, *part.shape[1:]]), dtype, memory_gb)
        embedded[start : start + len(part)] = part
        start += len(part)
    return embedded


def room(shape: torch.Size, dtype: torch.dtype, memory_gb: float) -> Tensor:
    """Return an empty tensor in memory or, if it is larger, in a file that is deleted with it.

    Raises DiskError if the folder of temporary files has too little space: a sparse file would end
    the process at the first write without room.
    """
    size = shape.numel() * dtype.itemsize
    if size <= memory_gb * 1e9:
        return torch.empty(shape, dtype=dtype)
    require_space(Path(tempfile.gettempdir()), size, "images beyond eval.memory_gb (TMPDIR)")
    with tempfile.NamedTemporaryFile(prefix="lmol_images_") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        mapped = torch.from_file(file.name, shared=True, size=shape.numel(), dtype=dtype)
    return mapped.view(shape)
