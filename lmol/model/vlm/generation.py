"""Greedy generation of one new token among the three answers.

Slower than reading logits, with the same answers. It exists to show that, and to count how often a
model without constraint says something other than an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from lmol.model.pair_model import Generated

if TYPE_CHECKING:
    from lmol.model.vlm.comparer import Comparer


class AnswersOnly(LogitsProcessor):
    """Logits processor that allows only the answers' first tokens."""

    def __init__(self, answer_ids: tuple[int, ...]) -> None:
        self._ids = list(answer_ids)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores (B, vocabulary) with minus infinity for every other token."""
        allowed = torch.full_like(scores, -torch.inf)
        allowed[:, self._ids] = scores[:, self._ids]
        return allowed


def generate_answers(model: Comparer, images: Tensor) -> Generated:
    """Answer B ordered pairs of projected images (B, 2, T, H)."""
    ids = model.prompt.answer_ids
    output = model.generate(
        images,
        max_new_tokens=1,
        do_sample=False,
        logits_processor=LogitsProcessorList([AnswersOnly(ids)]),
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
    )
    tokens, unconstrained = output.sequences[:, -1].cpu(), output.logits[0].argmax(-1).cpu()
    wanted = torch.tensor(ids)
    return Generated(
        scores=output.scores[0][:, list(ids)].float().cpu(),
        answers=(tokens[:, None] == wanted).long().argmax(1),
        invalid=~torch.isin(unconstrained, wanted),
    )
