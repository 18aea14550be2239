"""Four ways to judge pairs with a comparer, for the measurement of the judge.

Each yields the probabilities (P, 2, 3) of both orders, for one part of the pairs after another.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lmol.data.images import open_rgb
from lmol.evaluation.judge import Judge, fingerprint
from lmol.evaluation.part_file import PartFile
from lmol.evaluation.questions import rows_of
from lmol.model.features import PixelImages
from lmol.model.vlm.comparer import Comparer
from lmol.system.progress import progress

Probabilities = NDArray[np.floating]
Ask = Callable[[Comparer, pd.DataFrame, pd.DataFrame, int], Iterator[Probabilities]]
"""Takes a comparer, the images' score table, the pairs, and the number of questions per forward."""


def generated(
    comparer: Comparer, images: pd.DataFrame, pairs: pd.DataFrame, batch: int
) -> Iterator[Probabilities]:
    """Call `generate` once per question, from image files, like the original; `batch` is unused."""
    path = dict(zip(images["image"], images["path"], strict=True))
    for first, second in zip(pairs["img1"], pairs["img2"], strict=True):
        two = [path[first], path[second]]
        yield np.stack([_generated(comparer, two), _generated(comparer, two[::-1])])[None]


def _generated(comparer: Comparer, paths: Sequence[str]) -> Probabilities:
    """Return the probabilities (3,) of the answers, from the logits of the one new token."""
    base, prompt = comparer.base, comparer.prompt
    pictures = [open_rgb(path) for path in paths]
    inputs = base.processor(text=prompt.text, images=pictures, return_tensors="pt")
    dtype, device = base.embedding_dtype, comparer.device
    # The projector is trained in fp32 on a base that may be in half precision.
    with torch.autocast(device.type, dtype, enabled=dtype is not torch.float32):
        output = comparer.adapted.generate(
            **inputs.to(device, dtype),
            max_new_tokens=1,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
    logits = output.logits[0][0, list(prompt.answer_ids)]
    answers: Probabilities = logits.float().softmax(-1).cpu().numpy()
    return answers


def stock(
    comparer: Comparer, images: pd.DataFrame, pairs: pd.DataFrame, batch: int
) -> Iterator[Probabilities]:
    """Use transformers' plain forward on prompts and pixels, `batch` questions at a time."""
    store = PixelImages(comparer.encoder.preprocess, images)
    prompt, dtype = comparer.prompt, comparer.base.embedding_dtype
    for start in range(0, len(pairs), batch // 2):
        asked = pairs[start : start + batch // 2]
        names = asked[["img1", "img2", "img2", "img1"]].to_numpy().flatten().tolist()
        pixels = store.read(names).to(comparer.device, dtype)
        ids = prompt.input_ids.to(comparer.device).expand(2 * len(asked), -1)
        with torch.autocast(comparer.device.type, dtype, enabled=dtype is not torch.float32):
            output = comparer.adapted(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                pixel_values=pixels,
                logits_to_keep=1,
                use_cache=False,
            )
        answers = output.logits[:, -1, list(prompt.answer_ids)].float().softmax(-1)
        yield answers.unflatten(0, (-1, 2)).cpu().numpy()


def batched(
    comparer: Comparer, images: pd.DataFrame, pairs: pd.DataFrame, batch: int
) -> Iterator[Probabilities]:
    """Use the comparer's forward, as in training: both orders share a pair's vision features."""
    store = PixelImages(comparer.encoder.preprocess, images)
    for start in range(0, len(pairs), batch // 2):
        asked = pairs[start : start + batch // 2]
        names = asked[["img1", "img2"]].to_numpy().flatten().tolist()
        pixels = store.read(names).to(comparer.device).unflatten(0, (-1, 2))
        yield comparer(pixel_values=pixels).softmax(-1).cpu().numpy()


def judged(
    comparer: Comparer, images: pd.DataFrame, pairs: pd.DataFrame, batch: int
) -> Iterator[Probabilities]:
    """Use the judge of a run, on all pairs at once."""
    store = PixelImages(comparer.encoder.preprocess, images)
    seal = fingerprint(comparer, pairs, "drawn faces")
    with (
        tempfile.TemporaryDirectory() as folder,
        progress("Judging", len(pairs), "pairs") as advance,
        PartFile(Path(folder), seal) as part,
    ):
        names, first, second = rows_of(pairs)
        found = Judge(comparer, names, store, batch).compare(first, second, advance, part)
    yield found


WAYS: dict[str, Ask] = {
    "generate": generated,
    "stock": stock,
    "comparer": batched,
    "judge": judged,
}
