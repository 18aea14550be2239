"""The prompt as token ids: both images, the question, and the first tokens of the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lmol.config.schema import AnswersConfig, PromptForm
from lmol.errors import ModelError
from lmol.model.vlm.base import Base


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The prompt of a model, equal for every pair, because all images have equally many tokens.

    text: as rendered. input_ids: shape (L,). prefix: number of tokens up to and including the
    first image. answer_ids: the token ids of First, Second, Similar. positions: more arguments of
    a forward, shape (..., L). kinds: kinds of tokens, which stock models take, shape (1, L).
    """

    text: str
    input_ids: Tensor
    prefix: int
    answer_ids: tuple[int, int, int]
    positions: Mapping[str, Tensor] = field(default_factory=dict)
    kinds: Mapping[str, Tensor] = field(default_factory=dict)


def build_prompt(base: Base, form: PromptForm, question: str, answers: AnswersConfig) -> Prompt:
    """Render and tokenise the question; find the answers' tokens in context.

    Raises ModelError if image tokens are missing or two answers begin with the same token.
    """
    text = render(base, form, question)
    inputs = tokenize(base, text)
    input_ids = inputs["input_ids"][0]
    image_places = (input_ids == base.image_token).nonzero()
    return Prompt(
        text=text,
        input_ids=input_ids,
        prefix=int(image_places[base.num_image_tokens - 1]) + 1,
        answer_ids=find_answer_ids(base, text, (answers.first, answers.second, answers.similar)),
        positions=base.positions(inputs),
        kinds={name: value for name, value in inputs.items() if name.endswith("token_type_ids")},
    )


def render(base: Base, form: PromptForm, question: str) -> str:
    """Return the prompt's text, with one placeholder per image, both before the question."""
    image = base.processor.image_token
    if form is PromptForm.PLAIN:
        return f"{image}{image}, {question}"
    content = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": question}]
    turns: list[Any] = [{"role": "user", "content": content}]
    return str(base.processor.apply_chat_template(turns, add_generation_prompt=True))


def tokenize(base: Base, text: str) -> dict[str, Tensor]:
    """Return the processor's output (1, L), with each placeholder expanded to an image's tokens.

    Raises ModelError if their number is not that of two images: a prompt is never truncated.
    """
    if text.count(base.processor.image_token) != 2:
        raise ModelError(
            "data.question",
            got=f"a question that holds {base.processor.image_token}",
            expected="only text: both images come before it",
            remedy="remove the placeholder",
        )
    blanks: Any = [base.blank, base.blank]
    if base.nested_images:
        blanks = [blanks]
    options = {"images_kwargs": base.pixel_options} if base.pixel_options else {}
    inputs = base.processor(text=text, images=blanks, return_tensors="pt", **options)
    found = int((inputs["input_ids"] == base.image_token).sum())
    if found != 2 * base.num_image_tokens:
        raise ModelError(
            "model.backbone processor",
            got=f"{found} image tokens in the prompt",
            expected=f"2 x {base.num_image_tokens}",
            remedy="patch_size and num_additional_image_tokens of the processor must fit the model",
        )
    return dict(inputs)


def find_answer_ids(base: Base, text: str, answers: tuple[str, str, str]) -> tuple[int, int, int]:
    """Return the first token that each answer adds to the rendered prompt.

    The context is needed, because sentence-piece tokenisers split a word by the text before it.
    Raises ModelError if an answer is not in the vocabulary or two begin with the same token.
    """
    ids = tuple(_first_token_after(base, text, answer) for answer in answers)
    if len(set(ids)) < len(ids):
        tokens = base.processor.tokenizer.convert_ids_to_tokens(list(ids))
        pairs = ", ".join(f"{a!r} -> {t!r}" for a, t in zip(answers, tokens, strict=True))
        raise ModelError(
            "data.answers",
            got=pairs,
            expected="three different first tokens",
            remedy="choose answer words whose first tokens differ for this model's tokeniser",
        )
    return ids[0], ids[1], ids[2]


def _first_token_after(base: Base, text: str, answer: str) -> int:
    tokenizer = base.processor.tokenizer
    separator = "" if text[-1].isspace() else " "
    prompt = tokenizer(text)["input_ids"]
    whole = tokenizer(text + separator + answer)["input_ids"]
    added = whole[len(prompt) :]
    if whole[: len(prompt)] != prompt or not added or added[0] == tokenizer.unk_token_id:
        raise ModelError(
            "data.answers",
            got=f"{answer!r}, which is no separate word after the prompt",
            expected="an answer whose first token the model's tokeniser knows",
            remedy="choose another answer word",
        )
    return int(added[0])
