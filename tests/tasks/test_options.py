"""Each option of model and training has its effect on the real job: none is parsed and ignored."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.utils.checkpoint
from safetensors.torch import load_file

from lmol.training import workers
from tests.tasks.conftest import SMALL, run_in
from tests.tiny import TINY

FEW = (*SMALL, "data.schedule.num_pairs=48", "train.log_every=1", "train.validate_every=1",
       "model.lora.dropout=0", "audit=off")  # fmt: skip
AUDITED = "audit=default"
STEPS = 6
BF16 = "train.precision=bf16"


@dataclass(frozen=True)
class Finished:
    """A finished training with one option, read from its folder."""

    path: Path

    def column(self, name: str) -> list[float]:
        lines = map(json.loads, (self.path / "metrics.jsonl").read_text().splitlines())
        return [line[name] for line in lines if name in line]

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.path / name)

    def json(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.path / name).read_text()))

    def weights(self) -> dict[str, torch.Tensor]:
        return load_file(self.path / "checkpoints/last/adapter_model.safetensors")

    def base(self) -> dict[str, str]:
        return self.json("checkpoints/last/meta.json")["base"]

    def gaps(self) -> pd.Series:
        pairs = self.table("pairs/train_fold1_48.csv")
        return (pairs["score1"] - pairs["score2"]).abs()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The training without any option."""
    return Finished(run_in(tmp_path_factory.mktemp("plain"), *FEW, "hydra.run.dir=run") / "run")


@pytest.fixture
def run_with(command) -> Callable[..., Finished]:
    def run(*options: str) -> Finished:
        assert command(*FEW, *options, "hydra.run.dir=run") == (0, "")
        return Finished(Path("run"))

    return run


def close_but_not_equal(one: list[float], other: list[float]) -> bool:
    return one != other and bool(np.allclose(one, other, atol=0.1))


def same_weights(one: Finished, other: Finished) -> bool:
    first, second = one.weights(), other.weights()
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def test_bf16_computes_with_fewer_digits(run_with, plain):
    bf16 = run_with(BF16, AUDITED)
    assert close_but_not_equal(bf16.column("loss"), plain.column("loss"))
    assert set(bf16.table("audit/precision.csv")["precision"]) == {"bf16"}


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_quantisation_changes_the_frozen_weights(run_with, plain, kind):
    quantised = run_with(f"model.backbone={{quantization: {kind}, dtype: bf16}}", BF16, AUDITED)
    assert quantised.base().keys() == {"unquantized"}
    assert plain.base().keys() == {"unquantized", "whole"}
    assert not same_weights(quantised, plain)


def test_recomputed_activations_give_the_same_weights(run_with, plain, monkeypatch):
    stock, calls = torch.utils.checkpoint.checkpoint, []

    def counted(*given: Any, **options: Any) -> Any:
        calls.append(given)
        return stock(*given, **options)

    monkeypatch.setattr("transformers.modeling_utils.checkpoint", counted)
    recomputed = run_with("train.activation_checkpointing=true")
    assert len(calls) >= STEPS
    assert same_weights(recomputed, plain)


def test_pixels_are_read_by_workers(run_with, plain, monkeypatch):
    loaders, stock = [], workers.guarded

    def remembered(loader: Any) -> Any:
        loaders.append(loader)
        return stock(loader)

    monkeypatch.setattr("lmol.training.trainer.guarded", remembered)
    read = run_with("model.cache_features=false", "train.workers=2", AUDITED)
    assert [loader.num_workers for loader in loaders] == [2]
    assert next(iter(loaders[0].dataset))[0].dim() == 3  # pixels: channels, height, width
    np.testing.assert_allclose(read.column("loss"), plain.column("loss"), atol=1e-4)


def test_the_base_s_own_projector_is_where_training_starts(run_with):
    own = run_with("+ablation=pretrained_projector", "optim.lr_projector=1e-9")
    base = TINY.load().projector.state_dict()
    for name, tensor in base.items():
        [trained] = [found for key, found in own.weights().items() if key.endswith(name)]
        assert torch.allclose(trained, tensor, atol=1e-6), name


def test_the_plain_prompt_is_another_question(run_with, plain):
    assert run_with("model.prompt=plain").column("loss")[0] != plain.column("loss")[0]


def test_one_order_has_no_consistency_term(run_with, plain):
    one = run_with("+ablation=no_swap")
    assert set(one.column("consistency")) == {0.0}
    assert min(plain.column("consistency")) > 0
    assert one.column("loss") == one.column("cross_entropy")


def test_restarts_let_the_rate_rise_again(run_with):
    cycles = run_with("optim.schedule=cosine_restarts", "optim.cycles=2", "optim.warmup_ratio=0")
    rates = cycles.column("lr_lora")
    assert rates[:3] == pytest.approx(rates[3:])
    assert rates[0] > rates[1] > rates[2]


def test_a_linear_schedule_falls_evenly_and_accumulation_halves_the_steps(run_with):
    settings = ("optim.schedule=linear", "train.accumulation=2", "optim.warmup_ratio=0")
    rates = run_with(*settings).column("lr_lora")
    assert len(rates) == STEPS // 2
    assert np.diff(rates) == pytest.approx([-0.99 * max(rates) / 3] * 2)  # to a floor of 1 %


def test_a_constant_schedule_stays_and_without_clipping_gradients_stay(run_with):
    settings = ("optim.schedule=constant", "optim.grad_clip=0", "optim.warmup_ratio=0")
    constant = run_with(*settings, AUDITED)
    assert len(set(constant.column("lr_lora"))) == 1
    gradients = constant.table("audit/grad_table_step_1.csv")
    assert gradients["norm"].equals(gradients["norm_clipped"])


def test_gradients_are_clipped_to_the_norm(run_with):
    gradients = run_with("optim.grad_clip=0.01", AUDITED).table("audit/grad_table_step_1.csv")
    assert np.linalg.norm(gradients["norm"]) > 0.01
    assert np.linalg.norm(gradients["norm_clipped"]) == pytest.approx(0.01, rel=1e-3)


def test_the_weight_of_consistency_follows_its_ramp(run_with):
    ramp = run_with("train.loss.consistency={start: 5, end: 2, ramp_ratio: 0.5}")
    terms = (np.array(ramp.column(name)) for name in ("loss", "cross_entropy", "consistency"))
    loss, entropy, consistency = terms
    weights = (loss - entropy) / consistency
    assert weights == pytest.approx([5, 4, 3, 2, 2, 2], rel=1e-3)


def test_uniform_pairs_have_other_gaps(run_with, plain):
    """Intervals of the gap are equally full, so large gaps are more common than among all pairs."""
    uniform = run_with("+ablation=no_interval_sampling")
    assert uniform.gaps().mean() < plain.gaps().mean()


def test_a_sample_of_held_out_pairs_is_judged(run_with):
    assert run_with("eval.pairs=30").json("metrics.json")["pairs"] == 30
