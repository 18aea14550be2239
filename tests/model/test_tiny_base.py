"""The tiny base is a stock LLaVA in every respect but size."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor, LlavaForConditionalGeneration, LlavaProcessor

from lmol.experiments.tiny_base.make import build_base
from tests.tiny import build_tiny

FOLDER = Path(str(files("lmol.model") / "tiny_base"))


def test_it_is_at_most_five_megabytes():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 5_000_000


def test_plain_transformers_loads_it_with_no_key_missing_or_unknown():
    loaded: Any = LlavaForConditionalGeneration.from_pretrained(FOLDER, output_loading_info=True)
    info = loaded[1]
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[kind], kind
    assert isinstance(AutoProcessor.from_pretrained(FOLDER), LlavaProcessor)


def test_its_configuration_is_that_of_the_script_that_makes_it():
    shipped = LlavaForConditionalGeneration.from_pretrained(FOLDER).state_dict()
    made = build_base(None).state_dict()
    assert {k: v.shape for k, v in shipped.items()} == {k: v.shape for k, v in made.items()}


def test_its_language_model_is_the_scripts_and_its_tower_is_trained():
    shipped = LlavaForConditionalGeneration.from_pretrained(FOLDER, dtype=torch.float16)
    made = build_base(None).half().state_dict()
    for key, tensor in shipped.state_dict().items():
        if "language_model" in key or "lm_head" in key:
            assert torch.equal(tensor, made[key]), key
        if "patch_embedding" in key:
            assert not torch.equal(tensor, made[key])


def test_it_says_what_it_is():
    card = (FOLDER / "README.md").read_text()
    assert "python -m lmol.experiments.tiny_base.make" in card
    assert "never a score" in card


def test_no_word_of_the_default_question_is_unknown_to_it():
    prompt = build_tiny().prompt
    assert 0 not in prompt.input_ids.tolist()
    assert len(set(prompt.answer_ids)) == 3
