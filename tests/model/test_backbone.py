"""Weights that are not there or are no LLaVA end in one clear message; 4-bit trains on a CPU."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmol.errors import ModelError
from tests.tiny import TINY, build_tiny, tiny_backbone


@pytest.mark.parametrize("weights", ["nobody/no-such-model", "/nowhere/at/all", "not a name!"])
def test_unknown_or_missing_weights_are_an_error(weights):
    with pytest.raises(ModelError, match=r"could not be read.*\n.*download it elsewhere"):
        tiny_backbone(weights=weights).load()


def test_a_model_of_another_kind_is_an_error(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(ModelError, match="of type llama; expected a LLaVA"):
        tiny_backbone(weights=str(tmp_path)).load()


@pytest.fixture
def copied(tmp_path):
    """The tiny base in a folder that may be damaged."""
    return Path(shutil.copytree(TINY.location, tmp_path / "base"))


def test_a_base_that_lacks_a_tensor_is_an_error(copied):
    tensors = load_file(copied / "model.safetensors")
    name = next(name for name in tensors if "patch_embedding" in name)
    save_file(
        {key: tensor for key, tensor in tensors.items() if key != name},
        copied / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(ModelError, match=r"which lacks 1 tensor\(s\), .*patch_embedding"):
        tiny_backbone(weights=str(copied)).load()


def test_damaged_files_are_an_error(copied):
    (copied / "model.safetensors").write_bytes(b"half")
    with pytest.raises(ModelError, match="could not be read"):
        tiny_backbone(weights=str(copied)).load()
    (copied / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="could not be read"):
        tiny_backbone(weights=str(copied)).load()


@pytest.mark.parametrize("weights", ["pkg://nope.base", "pkg://base", "pkg://lmol.model.nope"])
def test_a_packaged_base_that_is_not_there_is_an_error(weights):
    with pytest.raises(ModelError, match="could not be read"):
        tiny_backbone(weights=weights).load()


def test_everything_in_a_loaded_base_is_frozen():
    assert not any(p.requires_grad for p in tiny_backbone().load().model.parameters())


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_quantised_training_has_gradients_before_and_after_an_evaluation(quantization):
    """bitsandbytes repacks 4-bit weights on CPUs with AVX512-BF16 unless this is switched off."""
    comparer = build_tiny(tiny_backbone(dtype="bf16", quantization=quantization))
    size = comparer.base.image_size
    pixels = torch.randn(2, 2, 3, size, size, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        comparer.train()(pixel_values=pixels).square().sum().backward()
        for name, parameter in comparer.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, name
                assert torch.isfinite(parameter.grad).all(), name
                assert parameter.grad.any() or ".lora_" in name, name
        comparer.zero_grad()
        with torch.inference_mode():
            comparer.eval()(pixel_values=pixels)


def test_only_the_language_model_is_quantised():
    model = tiny_backbone(dtype="bf16", quantization="nf4").load().model
    quantised = {n for n, m in model.named_modules() if type(m).__name__ == "Linear4bit"}
    assert len(quantised) == 7 * len(model.model.language_model.layers)
    assert all("language_model.layers" in name for name in quantised)
