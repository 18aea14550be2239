"""The judge: pairs in, probabilities out.

N images, P pairs, T tokens an image, H width of the language model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmol.errors import TrainingError
from lmol.model.comparer import Comparer
from lmol.model.features import BATCH_IMAGES, ImageStore, features_of
from lmol.tracking.progress import Advance


def judge(
    comparer: Comparer,
    pairs: pd.DataFrame,
    images: ImageStore,
    batch_pairs: int,
    advance: Advance = lambda num_pairs: None,
) -> NDArray[np.float64]:
    """Probabilities (P, 2, 3): of each order, of First, Second and Similar as answered.

    Each image passes the vision tower and the projector once, however many pairs it is in.
    `advance` is told the number of pairs after each batch. Raises TrainingError where the model
    answers with numbers that are not finite.
    """
    names = sorted({*pairs["img1"], *pairs["img2"]})
    row = {name: index for index, name in enumerate(names)}
    first = torch.tensor([row[name] for name in pairs["img1"]], dtype=torch.long)
    second = torch.tensor([row[name] for name in pairs["img2"]], dtype=torch.long)
    with answering(comparer):
        embedded = embed(comparer, names, images)
        batches = []
        for start in range(0, len(pairs), batch_pairs):
            chosen = slice(start, start + batch_pairs)
            batches.append(_probabilities(comparer, embedded, first[chosen], second[chosen]))
            advance(len(batches[-1]))
    probabilities = torch.cat(batches).double()
    if not torch.isfinite(probabilities).all():
        raise TrainingError(
            "judging pairs",
            got="probabilities that are not finite",
            expected="a model whose training has not diverged",
            remedy="lower the learning rates, or set optim.grad_clip",
        )
    return probabilities.numpy()


@contextmanager
def answering(comparer: Comparer) -> Iterator[None]:
    """Evaluation mode without gradients; the mode before is restored."""
    training = comparer.training
    comparer.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        comparer.train(training)


def embed(comparer: Comparer, names: Sequence[str], images: ImageStore) -> Tensor:
    """Projected features (N, T, H) of the named images, on the comparer's device.

    In the language model's precision, to which it would cast them anyway: 1,100 images of
    LLaVA-1.5-7B take 5.2 GB in bf16.
    """
    batches = [names[start : start + BATCH_IMAGES] for start in range(0, len(names), BATCH_IMAGES)]
    features = (features_of(comparer.base, images, batch) for batch in batches)
    parts = (comparer.project(batch).to(comparer.base.embedding_dtype) for batch in features)
    first = next(parts)
    embedded = first.new_empty(len(names), *first.shape[1:])
    start = 0
    for part in chain([first], parts):
        embedded[start : start + len(part)] = part
        start += len(part)
    return embedded


def _probabilities(comparer: Comparer, embedded: Tensor, first: Tensor, second: Tensor) -> Tensor:
    both = torch.stack([torch.stack([first, second], 1), torch.stack([second, first], 1)], dim=1)
    logits = comparer.answer_logits(embedded[both.flatten(0, 1).to(embedded.device)])
    return logits.softmax(-1).unflatten(0, (-1, 2)).cpu()
