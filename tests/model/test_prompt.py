"""Answer tokens are what follows the prompt, and differ; images are never truncated."""

import pytest

from lmol.config.schema import AnswersConfig, PromptForm
from lmol.errors import ModelError
from lmol.model.vlm.prompt import build_prompt, find_answer_ids, render, tokenize
from tests.tiny import QUESTION, tiny_backbone


@pytest.fixture(scope="module")
def base():
    return tiny_backbone().load()


def answers(first="First", second="Second", similar="Similar") -> AnswersConfig:
    return AnswersConfig(first=first, second=second, similar=similar)


@pytest.mark.parametrize("form", PromptForm)
def test_answer_ids_are_the_tokens_after_the_rendered_prompt(base, form):
    prompt = build_prompt(base, form, QUESTION, answers())
    tokenizer = base.processor.tokenizer
    for word, answer_id in zip(("First", "Second", "Similar"), prompt.answer_ids, strict=True):
        whole = tokenizer(f"{prompt.text} {word}")["input_ids"]
        assert whole[len(tokenizer(prompt.text)["input_ids"])] == answer_id


@pytest.mark.parametrize("form", PromptForm)
def test_both_images_stand_before_the_question(base, form):
    prompt = build_prompt(base, form, QUESTION, answers())
    is_image = prompt.input_ids == base.model.config.image_token_id
    assert is_image.sum() == 2 * base.num_image_tokens
    question = base.processor.tokenizer(QUESTION, add_special_tokens=False)["input_ids"]
    after = prompt.input_ids[is_image.nonzero().max() + 1 :].tolist()
    assert any(after[i : i + len(question)] == question for i in range(len(after)))


def test_chat_form_speaks_in_turns(base):
    rendered = render(base, PromptForm.CHAT, QUESTION)
    assert rendered.startswith("USER:")
    assert rendered.endswith("ASSISTANT:")


def test_answers_with_the_same_first_token_are_an_error(base):
    with pytest.raises(ModelError, match="expected three different first tokens"):
        build_prompt(base, PromptForm.CHAT, QUESTION, answers(second="First one"))


def test_an_answer_outside_the_vocabulary_is_an_error(base):
    with pytest.raises(ModelError, match="'Zebra', which is no separate word"):
        find_answer_ids(
            base, render(base, PromptForm.CHAT, QUESTION), ("First", "Zebra", "Similar")
        )


def test_a_processor_that_counts_other_image_tokens_is_an_error(base, monkeypatch):
    monkeypatch.setattr(base.processor, "num_additional_image_tokens", 0)
    with pytest.raises(ModelError, match=f"expected 2 x {base.num_image_tokens}"):
        build_prompt(base, PromptForm.CHAT, QUESTION, answers())


def test_a_question_with_an_image_placeholder_is_an_error(base):
    text = render(base, PromptForm.CHAT, "Which <image> is better?")
    with pytest.raises(ModelError, match=r"data\.question: got a question that holds <image>"):
        tokenize(base, text)
