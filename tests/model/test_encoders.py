"""Frozen encoders of the baselines: their features by hand, and one message for a wrong one."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    BitImageProcessorPil,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    ViTImageProcessorPil,
)

from lmol.config.targets import target_problems
from lmol.errors import ModelError
from lmol.model.vlm.encoder import VisionTower
from tests.baselines import encoder_of, pixels_of
from tests.tiny import TINY

SIZE = {"height": 32, "width": 32}
VISION: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
WORDS = {**VISION, "vocab_size": 20, "max_position_embeddings": 8, "bos_token_id": 1}
WORDS |= {"eos_token_id": 2, "pad_token_id": 0}


def clip():
    return CLIPModel(CLIPConfig(vision_config=VISION, text_config=WORDS, projection_dim=8))


def siglip():
    return SiglipModel(SiglipConfig(vision_config=VISION, text_config=WORDS))


STOCK = {
    "clip": (clip, CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=SIZE), 1),
    "siglip": (siglip, SiglipImageProcessorPil(size=SIZE), 0),
    "dinov2": (lambda: Dinov2Model(Dinov2Config(**VISION)),
               BitImageProcessorPil(size={"shortest_edge": 32}, crop_size=SIZE), 1),
    "dinov3": (lambda: DINOv3ViTModel(DINOv3ViTConfig(**VISION, num_register_tokens=3)),
               ViTImageProcessorPil(size=SIZE), 4),
}  # fmt: skip
"""A class of models, an image processor, and the number of its tokens before the patches."""


def saved(kind: str, folder: Path) -> torch.nn.Module:
    make, processor, _ = STOCK[kind]
    model = make().eval()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model


@pytest.mark.parametrize("kind", STOCK)
def test_a_stock_encoder_gives_the_mean_of_its_patches_and_its_class_token(kind, faces, tmp_path):
    model, num_before = saved(kind, tmp_path), STOCK[kind][2]
    encoder = encoder_of(tmp_path)
    pixels = pixels_of(encoder, faces[:3])
    with torch.no_grad():
        tokens = getattr(model, "vision_model", model)(pixels).last_hidden_state
    assert tokens.shape == (3, 16 + num_before, 16)
    expected = [tokens[:, num_before:].mean(1), *([tokens[:, 0]] if num_before else [])]
    found = encoder.encode(pixels)
    torch.testing.assert_close(found, torch.cat(expected, dim=1).unsqueeze(1))
    assert found.shape == (3, 1, encoder.width)
    assert not any(weight.requires_grad for weight in encoder.network.parameters())


@pytest.fixture(scope="module")
def tower():
    return encoder_of(TINY.weights)


def test_the_tower_is_that_of_the_model_and_its_layer_the_one_that_it_uses(tower, faces):
    pixels = pixels_of(tower, faces[:3])
    base = TINY.load()
    patches = VisionTower(base).encode(pixels)
    layer = base.model.config.vision_feature_layer
    with torch.no_grad():
        states = base.model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
    expected = torch.cat([patches.mean(1), states[layer][:, 0]], dim=1)
    torch.testing.assert_close(tower.encode(pixels).squeeze(1), expected)
    assert torch.equal(
        pixels, VisionTower(base).preprocess([Image.open(p) for p in faces["path"][:3]])
    )


@pytest.fixture
def copied(tmp_path):
    """The tiny base in a folder that may be changed."""
    return Path(shutil.copytree(TINY.location, tmp_path / "base"))


def keep(folder: Path, wanted: str) -> None:
    """Leave the tensors with this word in their names."""
    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if wanted in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def test_the_language_model_is_not_read(tower, copied, faces):
    keep(copied, "vision_tower")
    pixels = pixels_of(tower, faces[:2])
    assert torch.equal(encoder_of(copied).encode(pixels), tower.encode(pixels))


def test_an_encoder_that_lacks_tensors_is_an_error(copied):
    keep(copied, "language_model")
    with pytest.raises(ModelError, match=r"which lacks \d+ tensor\(s\).*\n.*choose another"):
        encoder_of(copied)


@pytest.mark.parametrize("weights", ["nobody/no-such-model", "/nowhere/at/all", "pkg://os.path"])
def test_an_unknown_name_is_one_message(weights):
    with pytest.raises(ModelError, match=r"encoder.weights: got .*could not be read.*\n.*folder"):
        encoder_of(weights)


def test_a_model_without_patches_is_an_error(copied):
    (copied / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(ModelError, match="of type llama; expected a vision transformer"):
        encoder_of(copied)


def test_an_image_processor_that_needs_torchvision_is_an_error(tmp_path):
    saved("dinov3", tmp_path)
    file = tmp_path / "preprocessor_config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps(settings | {"image_processor_type": "DINOv3ViTImageProcessor"}))
    with pytest.raises(ModelError, match=r"needs the package torchvision.*\n.*ViTImageProcessor"):
        encoder_of(tmp_path)


def test_a_training_does_not_turn_on_what_an_encoder_drops(tmp_path, faces):
    Dinov2Model(Dinov2Config(**VISION, drop_path_rate=0.9)).save_pretrained(tmp_path)
    STOCK["dinov2"][1].save_pretrained(tmp_path)
    encoder = encoder_of(tmp_path)
    pixels = pixels_of(encoder, faces[:4])
    before = encoder.encode(pixels)
    encoder.network.train()
    assert torch.equal(encoder.encode(pixels), before)


def test_a_class_that_loads_something_else_is_no_encoder():
    name = "lmol.model.vlm.backbone.LlavaBackbone"
    [problem] = target_problems("model.encoder", {"_target_": name}, complete=True)
    assert "load -> PooledEncoder; expected a frozen encoder of images" in str(problem)
