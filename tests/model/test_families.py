"""Every family computes what its stock model computes, by all ways that the project takes.

Models are random and tiny, of stock classes with real processors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText

from experiments.bench.families import gradients_of, noise_images, stock_logits
from experiments.bench.family_models import FAMILIES, Family, build
from experiments.bench.tiny_families import write_tiny
from lmol.config.schema import Precision, ProjectorStart, Quantization
from lmol.errors import ModelError
from lmol.model.checkpoint import load_checkpoint, save_checkpoint
from lmol.model.trainable import trainable_table
from lmol.model.vlm.comparer import Comparer
from lmol.model.vlm.frozen import quantized_layers
from lmol.model.vlm.processor import load_processor

PAIRS = 3
EXACT: dict[str, Any] = {"atol": 1e-5, "rtol": 0.0}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request) -> Family:
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def folder(family, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp(family.tiny)
    write_tiny(family.tiny, place)
    return place


@pytest.fixture(scope="module")
def comparer(family, folder) -> Comparer:
    return build(family, folder)


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    return noise_images(2 * PAIRS)


@pytest.fixture(scope="module")
def pixels(comparer, images) -> Tensor:
    return comparer.encoder.preprocess(images).unflatten(0, (-1, 2))


def test_logits_are_those_of_the_stock_forward_from_pixels(comparer, images, pixels):
    with torch.no_grad():
        ours = comparer(pixel_values=pixels)
        for number in range(PAIRS):
            first, second = images[2 * number : 2 * number + 2]
            torch.testing.assert_close(
                ours[number, 0], stock_logits(comparer, [first, second]), **EXACT
            )
            torch.testing.assert_close(
                ours[number, 1], stock_logits(comparer, [second, first]), **EXACT
            )
    assert ours.std(dim=0).min() > 1e-3, "the images must matter"


def test_a_pair_alone_and_features_give_the_same(comparer, pixels):
    with torch.no_grad():
        whole = comparer(pixel_values=pixels)
        features = comparer.encoder.encode(pixels.flatten(0, 1))
        of_features = comparer(features=features.unflatten(0, (-1, 2)))
        torch.testing.assert_close(of_features, whole, **EXACT)
        alone = comparer(pixel_values=pixels[1:2], both_orders=False)
    torch.testing.assert_close(alone[0, 0], whole[1, 0], **EXACT)


def test_a_scorer_gives_the_same_with_a_prefix_read_once(comparer, pixels):
    features = comparer.encoder.encode(pixels.flatten(0, 1))
    scorer = comparer.scorer([features[:4], features[4:]], len(features), 1.0)
    which, first, second = (
        torch.tensor([0, 1, 1, 0]),
        torch.tensor([0, 3]),
        torch.tensor([1, 2, 0, 5]),
    )
    pairs = torch.stack([features[first[which]], features[second]], dim=1)
    with torch.no_grad():
        found = scorer.block(first).logits(which, second)
        torch.testing.assert_close(found, comparer(features=pairs)[:, 0], **EXACT)
    generated = scorer.generate(first[which], second)
    assert generated.answers.tolist() == found.argmax(-1).tolist()


def test_gradients_are_those_of_the_stock_forward(comparer, images, pixels):
    ours = gradients_of(comparer, lambda: comparer(pixel_values=pixels[:1])[0, 0])
    stock = gradients_of(comparer, lambda: stock_logits(comparer, images[:2]))
    assert set(ours) == set(stock) == set(trainable_table(comparer)["name"])
    for name, gradient in ours.items():
        largest = float(stock[name].abs().max())
        assert largest > 0, name
        torch.testing.assert_close(gradient, stock[name], atol=1e-4 * largest, rtol=1e-4)


def test_projector_and_attention_of_the_language_model_are_trained(comparer):
    table = trainable_table(comparer)
    assert set(table["group"]) == {"lora_A", "lora_B", "projector"}
    layers = comparer.base.model.config.get_text_config().num_hidden_layers
    assert (table["group"] == "lora_A").sum() == 4 * layers
    projector = len(list(comparer.base.projector.parameters()))
    assert (table["group"] == "projector").sum() == projector


def test_answers_are_single_tokens_after_the_prompt(comparer):
    names = comparer.base.processor.tokenizer.convert_ids_to_tokens(
        list(comparer.prompt.answer_ids)
    )
    assert names == ["First", "Second", "Similar"]


def test_a_checkpoint_gives_the_same_model(comparer, family, folder, tmp_path):
    save_checkpoint(comparer, tmp_path / "best", {"step": 1})
    other = build(family, folder)
    with torch.no_grad():
        for parameter in other.parameters():
            if parameter.requires_grad:
                parameter.zero_()
    load_checkpoint(other, tmp_path / "best")
    assert other.identity() == comparer.identity()


def test_stock_classes_load_its_export(family, folder, images, tmp_path):
    comparer = build(family, folder)
    with torch.no_grad():
        expected = stock_logits(comparer, images[:2])
    before, after = comparer.write_stock(tmp_path / "merged")
    torch.testing.assert_close(before, after, atol=1e-4, rtol=0)
    stock = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged")
    config = AutoConfig.from_pretrained(tmp_path / "merged")
    comparer.adapted = stock.eval()
    comparer.base.processor = load_processor(str(tmp_path / "merged"), config)
    with torch.no_grad():
        torch.testing.assert_close(stock_logits(comparer, images[:2]), expected, atol=1e-4, rtol=0)
    keys = set(load_file(tmp_path / "merged/model.safetensors"))
    assert keys == set(load_file(folder / "model.safetensors"))


def test_a_fresh_projector_is_of_the_stock_class_and_fresh(family, folder):
    own = build(family, folder, ProjectorStart.PRETRAINED).base.projector
    fresh = build(family, folder).base.projector
    assert type(own) is type(fresh)
    shapes = [{n: p.shape for n, p in one.named_parameters()} for one in (own, fresh)]
    assert shapes[0] == shapes[1]
    for (name, one), other in zip(own.named_parameters(), fresh.parameters(), strict=True):
        assert one.ndim < 2 or not torch.allclose(one, other, atol=0.2), name


@pytest.mark.slow
@pytest.mark.parametrize("quantization", list(Quantization))
def test_half_and_quantised_bases_give_gradients_and_only_their_words_are_quantised(
    family, folder, images, quantization
):
    comparer = build(family, folder, form=(Precision.BF16, quantization))
    pixels = comparer.encoder.preprocess(images[:4]).unflatten(0, (-1, 2))
    comparer.train()(pixel_values=pixels).square().sum().backward()
    for name, parameter in comparer.named_parameters():
        if parameter.requires_grad:
            gradient = parameter.grad
            assert gradient is not None, name
            assert torch.isfinite(gradient).all(), name
            assert gradient.any(), name
    kept = (comparer.base.tower, comparer.base.projector, comparer.base.model.lm_head)
    assert [quantized_layers(part) for part in kept] == [[], [], []]
    found = quantized_layers(comparer.base.language_model)
    kinds = {Quantization.NONE: [], Quantization.NF4: ["Linear4bit"]}
    assert found == kinds.get(quantization, ["Linear8bitLt"])


def test_a_model_of_another_family_is_refused(family, folder, tmp_path):
    if family.option == "any_vlm":
        pytest.skip("it takes any")
    other = next(one for one in FAMILIES.values() if one.option != family.option)
    with pytest.raises(ModelError, match=r"of type .*; expected a"):
        build(other, folder)
