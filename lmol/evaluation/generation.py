"""Generating judge: one new token, greedily, among the three answers.

It is slower than reading logits and gives the same answers. It demonstrates that, and counts how
often an unconstrained model generates a word that is not an answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from accelerate.utils import gather_object
from numpy.typing import NDArray

from lmol.errors import ModelError
from lmol.evaluation.judge import Answers, Judge
from lmol.evaluation.questions import Questions, even_batches
from lmol.model.pair_model import Generates


class GeneratingJudge(Judge):
    """A judge that answers by `generate`, with a whole prompt per question.

    generated: the answer's class of each of the Q questions asked last, shape (Q,), -1 if another
    process answered. invalid: whether an unconstrained model would have generated another word.
    """

    generated: NDArray[np.int64]
    invalid: NDArray[np.bool_]

    def _begin(self, questions: Questions) -> None:
        if not isinstance(self._scorer, Generates):
            raise ModelError(
                "eval.decode",
                got=f"generate, with {type(self._model).__name__}, which has no words",
                expected="a model that generates text",
                remedy="leave eval.decode out: logits give the answers of every model",
            )
        self.generated = np.full(len(questions), -1)
        self.invalid = np.zeros(len(questions), dtype=bool)

    def invalid_share(self) -> float:
        """Return the share of invalid unconstrained answers in the questions of all processes."""
        counts = gather_object([(int(self.invalid.sum()), int((self.generated >= 0).sum()))])
        return sum(count for count, _ in counts) / max(sum(asked for _, asked in counts), 1)

    def _batches(
        self, questions: Questions, block: slice, answered: NDArray[np.bool_]
    ) -> Iterator[tuple[slice, Answers]]:
        assert isinstance(self._scorer, Generates), "checked by _begin"
        for batch in even_batches(block, self._batch):
            rows = (questions.first[batch], questions.second[batch])
            found = self._scorer.generate(*map(torch.from_numpy, rows))
            self.generated[batch] = found.answers.numpy()
            self.invalid[batch] = found.invalid.numpy()
            yield batch, found.scores.softmax(-1).numpy()
