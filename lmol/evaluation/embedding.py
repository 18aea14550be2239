"""Images as the language model takes them, computed once for all questions about them.

N images, m further ones, T tokens an image, V width of the vision tower, H of the language model.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from lmol.config.disk import require_space
from lmol.model.comparer import Comparer
from lmol.model.features import BATCH_IMAGES, ImageStore, features_of


def embed(
    comparer: Comparer,
    names: Sequence[str],
    images: ImageStore,
    further: Tensor | None = None,
    memory_gb: float = math.inf,
) -> Tensor:
    """Projected features (N + m, T, H) of named images and of further vision features (m, T, V).

    In the host's memory and in the language model's precision, to which it would cast them anyway:
    1,100 images of LLaVA-1.5-7B take 5.2 GB in bf16. A batch of them is brought to the device when
    it is asked about, which takes a hundredth of the time of its forward. More than memory_gb (10^9
    bytes) stand in a temporary file, of which the system keeps in memory what there is room for.
    """
    batches = [names[start : start + BATCH_IMAGES] for start in range(0, len(names), BATCH_IMAGES)]
    features = (features_of(comparer.base, images, batch) for batch in batches)
    known = () if further is None else further.split(BATCH_IMAGES)
    dtype = comparer.base.embedding_dtype
    parts = (comparer.project(batch).to(dtype) for batch in chain(features, known))
    first = next(parts)
    num = len(names) + (0 if further is None else len(further))
    embedded = _room(torch.Size([num, *first.shape[1:]]), dtype, memory_gb)
    start = 0
    for part in chain([first], parts):
        embedded[start : start + len(part)] = part
        start += len(part)
    return embedded


def _room(shape: torch.Size, dtype: torch.dtype, memory_gb: float) -> Tensor:
    """An empty tensor in memory or, if it is larger, in a file that goes with the tensor.

    Raises DiskError where the folder of temporary files has too little space: a file with holes
    would end the process at the write that finds no room.
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
