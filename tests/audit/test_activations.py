"""Activations are recorded by kind while the block runs, and all hooks are removed after it."""

import pytest
import torch
from torch import nn

from lmol.audit.activations import PROJECTED, TEXT, ActivationWatch, activation_table
from lmol.config.schema import Attention
from tests.tiny import build_tiny, tiny_backbone


def table_of(model, run, image_token=-1, full=False):
    with ActivationWatch(model, image_token, full=full).looking() as seen:
        run()
    return activation_table(seen, seen.stacked(torch.device("cpu")).double().numpy())


@pytest.mark.parametrize(
    ("module", "inputs", "share"),
    [
        (nn.ReLU(), [-1.0, -2.0, 3.0, -4.0], 0.75),
        (nn.Sigmoid(), [-9.0, 9.0, 0.0, 1.0], 0.5),
        (nn.Tanh(), [-9.0, 0.1, 0.2, 0.3], 0.25),
        (nn.GELU(), [-9.0, -4.0, -3.5, 1.0], 0.75),
        (nn.SiLU(), [-9.0, -4.0, -3.5, 1.0], 0.25),
    ],
)
def test_shares_are_of_what_a_kind_of_activation_loses(module, inputs, share):
    model = nn.Sequential(module)
    table = table_of(model, lambda: model(torch.tensor(inputs)))
    assert table["share"].tolist() == [share]
    output = module(torch.tensor(inputs))
    assert table["rms"][0] == pytest.approx(output.square().mean().sqrt().item())
    assert table["max_abs"][0] == pytest.approx(output.abs().max().item())


def num_hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def test_hooks_are_gone_afterwards_and_after_an_error(comparer):
    before = num_hooks(comparer)
    with ActivationWatch(comparer, -1, full=True).looking():
        assert num_hooks(comparer) > before
    assert num_hooks(comparer) == before
    with pytest.raises(KeyError), ActivationWatch(comparer, -1, full=True).looking():
        raise KeyError
    assert num_hooks(comparer) == before


def forward(comparer):
    pixels = torch.randn(3, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return comparer(pixel_values=pixels)


def test_the_comparer_shows_residuals_projector_and_text(comparer):
    token = comparer.base.model.config.image_token_index
    table = table_of(comparer, lambda: forward(comparer), token)
    kinds = table["kind"].tolist()
    residuals = [(k, layer) for k, layer in zip(kinds, table["layer"], strict=True) if "res" in k]
    assert [layer for _, layer in residuals[-2:]] == [0, 1]
    assert {PROJECTED, TEXT, "gelu", "silu"} <= set(kinds)
    words = [i for i in comparer.prompt.input_ids.tolist() if i != token]
    embedded = comparer.base.model.get_input_embeddings().weight[words]
    rms = table["rms"][kinds.index(TEXT)]
    assert rms == pytest.approx(embedded.square().mean().sqrt().item(), rel=1e-5)


def test_looking_changes_no_answer(comparer):
    plain = forward(comparer)
    with ActivationWatch(comparer, -1, full=True).looking():
        assert torch.equal(forward(comparer), plain)


def test_attention_entropy_is_there_where_weights_are():
    eager = build_tiny(tiny_backbone(attention=Attention.EAGER))
    table = table_of(eager, lambda: forward(eager), full=True)
    entropy = table["entropy"][table["kind"] == "attention"].astype(float)
    assert len(entropy) == 2 + 6  # layers of the language model and of the tower
    assert ((entropy > 0) & (entropy <= 1)).all()
    with torch.no_grad():
        for layer in eager.base.model.model.language_model.layers:
            layer.self_attn.q_proj.base_layer.weight.zero_()  # every position alike
    table = table_of(eager, lambda: forward(eager), full=True)
    language = table["entropy"][table["kind"] == "attention"].astype(float)[-2:]
    assert language == pytest.approx([1, 1], abs=1e-5)
    sdpa = build_tiny()
    assert "attention" not in table_of(sdpa, lambda: forward(sdpa), full=True)["kind"]


def test_compiled_modules_get_no_hooks(comparer):
    # As .compile() leaves it, without the minutes that compiling takes.
    comparer.base.model.model.language_model._compiled_call_impl = lambda *args: None
    with ActivationWatch(comparer, -1, full=True).looking():
        inside = comparer.base.model.model.language_model
        assert num_hooks(inside) == 0
        assert num_hooks(comparer) > 0
