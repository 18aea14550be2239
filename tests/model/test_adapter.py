"""Exactly the projector and the language model's q, k, v, o are trained."""

import pytest
import torch

from lmol.config.schema import ProjectorStart
from lmol.errors import ModelError
from lmol.model.trainable import trainable_summary, trainable_table
from tests.tiny import build_tiny, tiny_backbone


def test_exactly_projector_and_language_model_attention_are_trainable(comparer):
    names = set(trainable_table(comparer)["name"])
    layers = comparer.base.model.config.text_config.num_hidden_layers
    adapters = {
        f"adapted.base_model.model.model.language_model.layers.{layer}.self_attn.{module}_proj"
        f".lora_{matrix}.default.weight"
        for layer in range(layers)
        for module in "qkvo"
        for matrix in "AB"
    }
    projector = {
        f"adapted.base_model.model.model.multi_modal_projector.modules_to_save.default"
        f".linear_{linear}.{kind}"
        for linear in (1, 2)
        for kind in ("weight", "bias")
    }
    assert names == adapters | projector


def test_table_names_group_shape_and_count(comparer):
    table = trainable_table(comparer).set_index("name")
    key = next(name for name in table.index if ".q_proj.lora_A." in name)
    width = comparer.base.model.config.text_config.hidden_size
    assert table.loc[key].to_dict() == {
        "shape": f"4x{width}",
        "group": "lora_A",
        "count": 4 * width,
    }
    total = sum(p.numel() for p in comparer.parameters() if p.requires_grad)
    assert table["count"].sum() == trainable_summary(table.reset_index())["count"].sum() == total


def test_a_pattern_that_matches_nothing_is_an_error():
    with pytest.raises(ModelError, match="matches no linear layer"):
        build_tiny(targets=r".*\.query_proj")


def test_a_pattern_that_reaches_into_the_vision_tower_is_an_error():
    with pytest.raises(ModelError, match=r"vision_tower.*\n.*use for example"):
        build_tiny(targets=r".*\.q_proj")


@pytest.mark.parametrize("start", list(ProjectorStart))
def test_what_is_trained_is_in_fp32_whatever_the_base(start):
    comparer = build_tiny(tiny_backbone(dtype="bf16"), projector=start)
    trained = {p.dtype for p in comparer.parameters() if p.requires_grad}
    assert trained == {torch.float32}
