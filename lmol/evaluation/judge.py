"""The judge: pairs in, probabilities out.

Questions are grouped by first image, so that a model can read it once for all second images; the
features of an image are computed once. The answers are those of the plain forward, up to rounding.

N images, P pairs, Q questions (ordered pairs), T tokens an image, V width of their features.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from accelerate.utils import gather_object
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from numpy.typing import NDArray
from torch import Tensor

from lmol.errors import TrainingError
from lmol.evaluation.part_file import PartFile
from lmol.evaluation.questions import Indices, Questions, even_batches, rows_of
from lmol.model.features import ImageStore, feature_batches
from lmol.model.pair_model import PairModel
from lmol.system.distributed import process_state
from lmol.system.progress import Advance

log = logging.getLogger(__name__)

Answers = NDArray[np.float32]


def no_progress(num: int) -> None:
    """Ignore progress updates."""


def judge(
    model: PairModel,
    pairs: pd.DataFrame,
    images: ImageStore,
    batch_pairs: int,
    advance: Advance = no_progress,
    memory_gb: float = math.inf,
) -> NDArray[np.float64]:
    """Return probabilities (P, 2, 3) of First, Second and Similar as answered in each order.

    `Judge` explains the other arguments.
    """
    names, first, second = rows_of(pairs)
    judge = Judge(model, names, images, batch_pairs, memory_gb=memory_gb)
    return judge.compare(first, second, advance)


def fingerprint(model: PairModel, pairs: pd.DataFrame, data_hash: str) -> str:
    """Return SHA-256 (hexadecimal) of the model, the list of pairs and the data's hash."""
    asked = "\n".join(pairs["img1"] + "\t" + pairs["img2"])
    parts = (model.identity(), data_hash, asked)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class Judge:
    """Judge of N images with one model, whose scorer keeps their features.

    batch_pairs: ordered pairs per forward, halved whenever memory runs out. further: features (m,
    T, V) of images whose rows follow those of the named ones. memory_gb: maximum memory for the
    images, in 10^9 bytes.
    """

    def __init__(
        self,
        model: PairModel,
        names: Sequence[str],
        images: ImageStore,
        batch_pairs: int,
        further: Tensor | None = None,
        memory_gb: float = math.inf,
    ) -> None:
        self._model, self._batch = model, batch_pairs
        num = len(names) + (0 if further is None else len(further))
        with answering(model):
            batches = feature_batches(model.encoder, names, images, further)
            self._scorer = model.scorer(batches, num, memory_gb)

    def compare(
        self,
        first: Indices,
        second: Indices,
        advance: Advance = no_progress,
        part: PartFile | None = None,
    ) -> NDArray[np.float64]:
        """Return probabilities (P, 2, 3) of both orders of pairs, given by image rows (P,) each.

        Under torchrun every process answers its share, and all get all answers. After each batch
        `advance` receives its number of pairs, half of its questions, scaled to all processes.
        `part` keeps answers on disk, and stored questions are not asked again. Raises TrainingError
        if an answer is not finite.
        """
        questions = Questions.of_pairs(first, second, len(self._scorer))
        answered, answers = _known(questions, part)
        advance(int(answered.sum()) // 2)
        self._begin(questions)
        shares = _share(questions.blocks(self._batch), answered, logged=part is not None)
        advance = _speaking_for_all(advance, shares, int((~answered).sum()))
        with answering(self._model):
            for share in shares:
                for block in questions.blocks(self._batch, share):  # smaller once memory ran out
                    for batch, found in self._block(questions, block, answered):
                        _require_finite(found)
                        answers[batch], answered[batch] = found, True
                        if part is not None:
                            part.append(np.arange(batch.start, batch.stop), found)
                        advance(batch.stop - batch.start)
        return _gathered(answers, answered)[questions.of_pair].astype(np.float64)

    def _begin(self, questions: Questions) -> None:
        """Prepare for these questions; called before the first of them."""

    def _block(
        self, questions: Questions, block: slice, answered: NDArray[np.bool_]
    ) -> Iterator[tuple[slice, Answers]]:
        """Yield the unanswered batches of a block, each with its answers.

        Batches depend only on the questions, so that a resumed judge rounds like an uninterrupted
        judge.
        """
        try:
            yield from self._batches(questions, block, answered)
            return
        except RuntimeError as error:
            if not should_reduce_batch_size(error) or self._batch == 1:
                raise
        self._batch //= 2
        clear_device_cache(garbage_collection=True)
        log.info("Out of memory: from here on %d ordered pairs a forward", self._batch)
        for smaller in questions.blocks(self._batch, block):
            yield from self._block(questions, smaller, answered)

    def _batches(
        self, questions: Questions, block: slice, answered: NDArray[np.bool_]
    ) -> Iterator[tuple[slice, Answers]]:
        batches = even_batches(block, self._batch)
        todo = [batch for batch in batches if not answered[batch].all()]
        if not todo:
            return
        first, rows = np.unique(questions.first[block], return_inverse=True)
        read = self._scorer.block(torch.from_numpy(first))
        for batch in todo:
            which = torch.from_numpy(rows[batch.start - block.start : batch.stop - block.start])
            logits = read.logits(which, torch.from_numpy(questions.second[batch]))
            yield batch, logits.softmax(-1).cpu().numpy()


@contextmanager
def answering(model: PairModel) -> Iterator[None]:
    """Set evaluation mode without gradients, and restore the mode afterwards."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)


def _known(questions: Questions, part: PartFile | None) -> tuple[NDArray[np.bool_], Answers]:
    """Return earlier answers, equal in all processes: none writes before all have read."""
    if part is None:
        return np.zeros(len(questions), bool), np.zeros((len(questions), 3), np.float32)
    answered, answers = part.read(len(questions))
    process_state().wait_for_everyone()
    if answered.any():
        log.info("Continuing after %d of %d answers", answered.sum(), len(questions))
    return answered, answers


def _share(blocks: list[slice], answered: NDArray[np.bool_], *, logged: bool) -> list[slice]:
    """Return this process's blocks: every num_processes-th of those not answered yet."""
    state = process_state()
    todo = [block for block in blocks if not answered[block].all()]
    mine = todo[state.process_index :: state.num_processes]
    if logged and state.num_processes > 1:
        log.info("This process answers %d of %d questions", _size(mine), len(answered))
    return mine


def _size(blocks: list[slice]) -> int:
    return sum(block.stop - block.start for block in blocks)


def _speaking_for_all(advance: Advance, mine: list[slice], left: int) -> Advance:
    """Return an `advance` that turns this process's questions into pairs of all processes."""
    share, done, reported = _size(mine), 0, 0

    def of_share(questions: int) -> None:
        nonlocal done, reported
        done += questions
        pairs = done * left // share // 2
        advance(pairs - reported)
        reported = pairs

    return of_share


def _gathered(answers: Answers, answered: NDArray[np.bool_]) -> Answers:
    """Return all answers (Q, 3), on every process."""
    if process_state().num_processes > 1:
        for where, found in gather_object([(answered, answers[answered])]):
            answers[where] = found
    return answers


def _require_finite(probabilities: Answers) -> None:
    if not np.isfinite(probabilities).all():
        raise TrainingError(
            "judging pairs",
            got="probabilities that are not finite",
            expected="a model whose training has not diverged",
            remedy="lower the learning rates, or set optim.grad_clip",
        )
