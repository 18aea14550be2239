"""The tiny base's processor: a word-level tokeniser, CLIP's image transform, LLaVA's turns."""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import CLIPImageProcessorPil, LlavaProcessor, PreTrainedTokenizerFast

IMAGE_SIZE, PATCH_SIZE = 64, 16

SPECIAL = ("<unk>", "<pad>", "<s>", "</s>", "<image>")
MARKS = tuple("\n:,.?!()'\"-")
"""Marks that are separate tokens; the line break separates the two images, as in LLaVA-1.5."""

WORDS = (
    "USER ASSISTANT First Second Similar Left Right Both Neither Equal Better Worse A B C Yes "
    "No Compare Which What Answer Look Choose Is Are Does the The a an of these two this that "
    "in on for with and or than as to is are be has have one word exactly only image images "
    "picture pictures photo photos face faces left right first second similar equal equally "
    "better worse more most less attractive attractiveness facial beautiful beauty looks look "
    "sharper quality good bad product scan "
)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}USER: {% else %}ASSISTANT: {% endif %}"
    "{% for part in message['content'] if part['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }} {% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
"""The turns of LLaVA-1.5, with images before text."""


def build_processor() -> LlavaProcessor:
    """Return a stock processor; an image becomes (IMAGE_SIZE / PATCH_SIZE)^2 tokens."""
    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": IMAGE_SIZE},
            crop_size={"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        ),
        tokenizer=build_tokenizer(),
        patch_size=PATCH_SIZE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # the class token, which the default strategy drops
        image_token="<image>",
        chat_template=CHAT_TEMPLATE,
    )


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokeniser with one token per word and mark; anything else is <unk>."""
    vocabulary = [*SPECIAL, *MARKS, *WORDS.split()]
    assert len(set(vocabulary)) == len(vocabulary), "a word is in the vocabulary twice"
    ids = {token: index for index, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", "removed"),
            pre_tokenizers.Split(Regex(r"[^\w<>]"), "isolated"),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
    )
