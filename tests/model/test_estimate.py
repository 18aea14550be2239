"""The load of a training is known before anything is loaded, and is that of the real model."""

from types import SimpleNamespace

import pytest
import torch

from experiments.bench.shapes import SHAPES
from lmol.audit.memory import counting_saved
from lmol.config import load_config
from lmol.errors import ModelError
from lmol.model.vlm.estimate import load_of
from lmol.model.vlm.families.llava import Llava
from lmol.workflow import memory
from tests.tiny import TINY, build_tiny, model_config

LORA = model_config(dropout=0.05).lora


@pytest.fixture(scope="module")
def load():
    config = build_tiny().base.model.config
    return load_of(config, Llava, LORA, 200, (torch.float32, "none"))


def test_weights_and_trained_numbers_are_those_of_the_model(load):
    comparer = build_tiny(dropout=0.05)
    frozen = [p for n, p in comparer.named_parameters() if not p.requires_grad]
    own = [p for n, p in comparer.base.model.named_parameters() if "original_module" in n]
    assert load.trained == sum(p.numel() for p in comparer.parameters() if p.requires_grad)
    assert load.weights == sum(p.nbytes for p in frozen)
    assert load.parameters == sum(p.numel() for p in frozen)
    assert own, "the untrained projector stays beside its copy"


def test_activations_are_what_the_real_forward_keeps(load):
    comparer = build_tiny(TINY, dropout=0.05).train()
    language = comparer.base.language_model
    embedded = torch.randn(2, 200, 64, requires_grad=True)
    with counting_saved(language) as saved:
        language(inputs_embeds=embedded, use_cache=False)
    assert load.activations == pytest.approx(sum(saved.values()), rel=0.1)
    assert load.recomputed < load.activations
    assert load.step_bytes(4, recompute=False) > load.step_bytes(2, recompute=False)


def test_the_work_is_twice_the_weights_a_token_forward_and_back(load):
    """Frozen weights: the backward pass computes gradients of inputs only."""
    language = build_tiny().base.language_model.layers
    weights = sum(p.numel() for p in language.parameters() if p.ndim == 2 and not p.requires_grad)
    linear = 2 * 200 * 2 * weights * 2
    attention = 2 * 2 * 4 * 200**2 * 64 * 3.5
    assert linear + attention < load.flop < 1.1 * (linear + attention)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("smolvlm2_256m", 256),
        ("smolvlm2_500m", 507),
        ("internvl3_5_1b", 1061),
        ("qwen3_vl_2b", 2128),
        ("smolvlm2_2_2b", 2247),
        ("qwen3_vl_4b", 4438),
        ("llava_1_5_7b", 7063),
        ("qwen3_vl_8b", 8767),
    ],
)
def test_shapes_have_the_parameters_of_their_models(name, millions):
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(SHAPES[name]())
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=1)


def test_a_model_larger_than_memory_is_refused_before_it_is_loaded(monkeypatch):
    config = load_config("task=audit")
    monkeypatch.setattr(memory, "free_memory", lambda: (10**7, "main memory"))
    monkeypatch.setattr(TINY.__class__, "load", SimpleNamespace)
    with pytest.raises(ModelError, match=r"(?s)a step of 16 pairs .*set train.activation_check"):
        memory.require_memory(config)
    monkeypatch.setattr(memory, "free_memory", lambda: (10**5, "main memory"))
    with pytest.raises(ModelError, match=r"choose a smaller model"):
        memory.require_memory(config)


def test_attention_keeps_no_weights_of_pairs_of_tokens():
    config = build_tiny(TINY).base.model.config
    short, long = (load_of(config, Llava, LORA, n, (torch.float32, "none")) for n in (200, 400))
    assert long.activations == pytest.approx(2 * short.activations, rel=0.02)
