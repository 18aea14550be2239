"""Every family computes what its stock model computes, by all ways that the project takes.

Models are random and tiny, of stock classes with real processors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import get_class
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText

from experiments.bench.tiny_families import write_tiny
from lmol.config import load_config
from lmol.config.schema import Attention, Precision, ProjectorStart, Quantization
from lmol.errors import ModelError
from lmol.model.checkpoint import load_checkpoint, save_checkpoint
from lmol.model.trainable import trainable_table
from lmol.model.vlm.comparer import Comparer, build_comparer
from lmol.model.vlm.processor import load_processor
from tests.tiny import ANSWERS, QUESTION, model_config

PAIRS = 3
EXACT: dict[str, Any] = {"atol": 1e-5, "rtol": 0.0}
TARGETS = r".*(language|text)_model\..*\.(q|k|v|o)_proj"


@dataclass(frozen=True, kw_only=True)
class Family:
    """A tiny model, the option of model that is like it, and settings of its backbone."""

    tiny: str
    option: str
    settings: dict[str, Any]


ANY = {
    "tower": "model.vision_tower",
    "projector": "model.multi_modal_projector",
    "language_model": "model.language_model",
    "nested_images": False,
    "image_options": {"crop_to_patches": False},
    "image_size": 56,
}
FAMILIES = {
    "llava_onevision": Family(tiny="llava_onevision", option="llava_onevision_0_5b", settings={}),
    "qwen2_5_vl": Family(tiny="qwen2_5_vl", option="qwen2_5_vl_3b", settings={"image_size": 112}),
    "qwen3_vl": Family(tiny="qwen3_vl", option="qwen3_vl_2b", settings={"image_size": 128}),
    "internvl": Family(tiny="internvl", option="internvl3_5_1b", settings={}),
    "smolvlm": Family(tiny="smolvlm", option="smolvlm2_256m", settings={"image_size": 64}),
    "idefics3": Family(tiny="idefics3", option="smolvlm2_256m", settings={"image_size": 96}),
    "gemma3": Family(tiny="gemma3", option="gemma_3_4b", settings={}),
    "paligemma": Family(tiny="paligemma", option="paligemma_2_3b", settings={}),
    "any_vlm": Family(tiny="internvl", option="any_vlm", settings=ANY),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request) -> Family:
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def folder(family, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp(family.tiny)
    write_tiny(family.tiny, place)
    return place


def build(family: Family, folder: Path, start: ProjectorStart = ProjectorStart.FRESH) -> Comparer:
    settings = {
        "weights": str(folder),
        "revision": None,
        "dtype": Precision.FP32,
        "quantization": Quantization.NONE,
        "double_quantization": True,
        "attention": Attention.EAGER if family.tiny == "paligemma" else Attention.SDPA,
        **family.settings,
    }
    model = load_config("task=prepare", f"model={family.option}", *FREE).model
    backbone = get_class(model["backbone"]["_target_"])(**settings)
    torch.manual_seed(1)
    comparer = build_comparer(
        backbone, model_config(targets=TARGETS, projector=start), QUESTION, ANSWERS
    )
    with torch.no_grad():  # as if it had been trained: an adapter begins with zeros
        for parameter in comparer.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return comparer.eval()


FREE = ("++model.backbone.weights=x", "++model.backbone.image_size=64")


@pytest.fixture(scope="module")
def comparer(family, folder) -> Comparer:
    return build(family, folder)


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    noise = np.random.default_rng(0).integers(0, 256, (2 * PAIRS, 90, 70, 3), dtype=np.uint8)
    return [Image.fromarray(one) for one in noise]


@pytest.fixture(scope="module")
def pixels(comparer, images) -> Tensor:
    return comparer.encoder.preprocess(images).unflatten(0, (-1, 2))


def stock_logits(comparer: Comparer, pair: list[Image.Image]) -> Tensor:
    """Logits (3,) of the stock forward with the stock processor, of one pair."""
    base = comparer.base
    if base.pixels.size is not None:
        pair = [
            one.resize((base.image_size, base.image_size), Image.Resampling.BICUBIC) for one in pair
        ]
    options = {"images_kwargs": base.pixel_options} if base.pixel_options else {}
    inputs = base.processor(
        text=comparer.prompt.text,
        images=[pair] if base.nested_images else pair,
        return_tensors="pt",
        **options,
    )
    return comparer.adapted(**inputs).logits[0, -1, list(comparer.prompt.answer_ids)]


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
    def gradients() -> dict[str, Tensor]:
        found = {n: p.grad for n, p in comparer.named_parameters() if p.grad is not None}
        comparer.zero_grad()
        return found

    comparer.zero_grad()
    comparer(pixel_values=pixels[:1])[0, 0].square().sum().backward()
    ours = gradients()
    stock_logits(comparer, images[:2]).square().sum().backward()
    stock = gradients()
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


def test_a_model_of_another_family_is_refused(family, folder, tmp_path):
    if family.option == "any_vlm":
        pytest.skip("it takes any")
    other = next(one for one in FAMILIES.values() if one.option != family.option)
    with pytest.raises(ModelError, match=r"of type .*; expected a"):
        build(other, folder)
