"""A checkpoint is whole: read back exactly by us and by stock code, or refused."""

import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from lmol.errors import CheckpointError
from lmol.model.checkpoint import load_checkpoint, save_checkpoint
from lmol.model.vlm.comparer import Comparer
from tests.tiny import build_tiny, tiny_backbone


@pytest.fixture
def features(comparer):
    config = comparer.base.model.config.vision_config
    generator = torch.Generator().manual_seed(1)
    return torch.randn(
        2, 2, comparer.base.num_image_tokens, config.hidden_size, generator=generator
    )


@pytest.fixture
def saved(comparer, tmp_path):
    save_checkpoint(comparer, tmp_path / "best", {"step": 3, "metric": "accuracy"})
    return tmp_path / "best"


def change(saved, edit):
    tensors = load_file(saved / Comparer.weights_file)
    edit(tensors)
    save_file(tensors, saved / Comparer.weights_file)


def test_loading_restores_the_logits_exactly(comparer, saved, features):
    other = build_tiny()
    with torch.no_grad():
        expected = comparer(features=features)
        assert not torch.equal(other(features=features), expected)
        facts = load_checkpoint(other, saved)
        assert torch.equal(other(features=features), expected)
    assert facts["step"] == 3
    assert facts["keys"] == sorted(load_file(saved / Comparer.weights_file))


def test_projector_and_adapters_are_all_there(comparer, saved):
    trained = sum(p.numel() for p in comparer.parameters() if p.requires_grad)
    assert sum(t.numel() for t in load_file(saved / Comparer.weights_file).values()) == trained


def test_stock_peft_on_a_stock_base_gives_the_same_logits(comparer, saved, features):
    base = tiny_backbone().load()
    assert base.model.config.projector_hidden_act == "gelu_pytorch_tanh"
    stock = PeftModel.from_pretrained(base.model, saved).eval()
    pixels = torch.randn(2, 3, base.image_size, base.image_size)
    with torch.no_grad():
        expected = comparer(pixel_values=pixels[None])[0, 0]
        output = stock(input_ids=comparer.prompt.input_ids[None], pixel_values=pixels)
    found = output.logits[0, -1, list(comparer.prompt.answer_ids)]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("part", ["lora_A", "linear_1.weight"])
def test_a_missing_tensor_is_an_error_and_changes_nothing(comparer, saved, part):
    change(saved, lambda tensors: tensors.pop(next(key for key in tensors if part in key)))
    before = {k: v.clone() for k, v in comparer.trained_state().items()}
    with pytest.raises(CheckpointError, match=rf"is missing 1 tensor.*{part}"):
        load_checkpoint(comparer, saved)
    torch.testing.assert_close(comparer.trained_state(), before, atol=0, rtol=0)


def test_an_extra_tensor_is_an_error(comparer, saved):
    change(saved, lambda tensors: tensors.update(surprise=torch.zeros(1)))
    with pytest.raises(CheckpointError, match=r"holds unknown 1 tensor\(s\), surprise"):
        load_checkpoint(comparer, saved)


def test_a_tensor_of_another_shape_is_an_error(comparer, saved):
    key = next(key for key in load_file(saved / Comparer.weights_file) if "linear_2.bias" in key)
    change(saved, lambda tensors: tensors.update({key: torch.zeros(3)}))
    with pytest.raises(CheckpointError, match=r"linear_2.bias of shape \(3,\); expected shape"):
        load_checkpoint(comparer, saved)


def test_a_damaged_or_absent_file_is_an_error(comparer, saved, tmp_path):
    with pytest.raises(CheckpointError, match="no readable checkpoint"):
        load_checkpoint(comparer, tmp_path / "nothing")
    (saved / Comparer.weights_file).write_bytes(b"half")
    with pytest.raises(CheckpointError, match="no readable checkpoint"):
        load_checkpoint(comparer, saved)


def test_saving_again_replaces_the_whole_folder(comparer, saved):
    (saved / "stale").write_text("")
    save_checkpoint(comparer, saved, {"step": 4})
    assert json.loads((saved / "meta.json").read_text())["step"] == 4
    assert not (saved / "stale").exists()
    assert [path.name for path in saved.parent.iterdir()] == ["best"]
