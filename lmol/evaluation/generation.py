"""The judge that generates: one new token, greedily, among the three answers.

Slower than reading logits, and no wiser: it gives the same answers. It is here to show that, and to
count how often a model that may say anything says something else than an answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from lmol.evaluation.judge import Answers, Judge
from lmol.evaluation.questions import Questions, even_batches


class AnswersOnly(LogitsProcessor):
    """Leaves only the answers' first tokens possible."""

    def __init__(self, answer_ids: tuple[int, ...]) -> None:
        self._ids = list(answer_ids)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (B, vocabulary), minus infinity for every other token."""
        allowed = torch.full_like(scores, -torch.inf)
        allowed[:, self._ids] = scores[:, self._ids]
        return allowed


class GeneratingJudge(Judge):
    """Answers by `generate`, a whole prompt a question.

    generated: the answer's class of each of the Q questions asked last, shape (Q,), -1 where
    another process answered. invalid: whether an unconstrained model would have said another word.
    """

    generated: NDArray[np.int64]
    invalid: NDArray[np.bool_]

    def _begin(self, questions: Questions) -> None:
        self.generated = np.full(len(questions), -1)
        self.invalid = np.zeros(len(questions), dtype=bool)

    def invalid_share(self) -> float:
        """Share of invalid unconstrained answers among all questions, of all processes."""
        counts = gather_object([(int(self.invalid.sum()), int((self.generated >= 0).sum()))])
        return sum(count for count, _ in counts) / max(sum(asked for _, asked in counts), 1)

    def _batches(
        self, questions: Questions, block: slice, answered: NDArray[np.bool_]
    ) -> Iterator[tuple[slice, Answers]]:
        for batch in even_batches(block, self._batch):
            images = self._images(np.stack([questions.first[batch], questions.second[batch]], 1))
            scores, tokens, unconstrained = self._generate(images)
            ids = torch.tensor(self._comparer.prompt.answer_ids)
            self.generated[batch] = (tokens[:, None] == ids).long().argmax(1).numpy()
            self.invalid[batch] = ~torch.isin(unconstrained, ids).numpy()
            yield batch, scores.softmax(-1).numpy()

    def _generate(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Answer scores (B, 3), generated tokens (B,) and unconstrained ones (B,), on the host."""
        prompt = self._comparer.prompt
        only_answers = LogitsProcessorList([AnswersOnly(prompt.answer_ids)])
        output = self._comparer.generate(
            images,
            max_new_tokens=1,
            do_sample=False,
            logits_processor=only_answers,
            return_dict_in_generate=True,
            output_scores=True,
            output_logits=True,
        )
        scores = output.scores[0][:, list(prompt.answer_ids)].float().cpu()
        return scores, output.sequences[:, -1].cpu(), output.logits[0].argmax(-1).cpu()
