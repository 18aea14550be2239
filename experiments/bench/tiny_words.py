"""A tokeniser of few words and a template of turns, for models that are made offline."""

from __future__ import annotations

from typing import Any

from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

WORDS = "<unk> <pad> <s> </s> user assistant First Second Similar Which face looks more attractive"
MARKS = ("?", ":", "\n", ",", ".")
TURNS = (
    "{{% for message in messages %}}{{{{ message['role'] }}}}: "
    "{{% for part in message['content'] %}}{{% if part['type'] == 'image' %}}{image}"
    "{{% else %}}{{{{ part['text'] }}}}{{% endif %}}{{% endfor %}}\n{{% endfor %}}"
    "{{% if add_generation_prompt %}}assistant:{{% endif %}}"
)


def tokenizer(**special: str) -> Any:
    """Return a tokeniser of few words. special: its special tokens by the names of attributes."""
    names = list(dict.fromkeys([*WORDS.split(), *MARKS, *special.values()]))
    words = models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="<unk>")
    made = Tokenizer(words)
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", "removed"),
            pre_tokenizers.Split(Regex(r"[^\w<>|]"), "isolated"),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens=dict(special),
    )
