"""Training changes what is to be trained and nothing else; accumulation is exact; NaN stops it."""

from dataclasses import replace

import pytest
import torch

from lmol.config.schema import EarlyStoppingConfig, Precision
from lmol.errors import HealthError
from lmol.training.callbacks import RunLog, log_line
from tests.tiny import build_tiny
from tests.training.parts import SHOWN, TRAIN, state_of, trainer_of


def test_every_trained_tensor_changes_and_every_frozen_one_is_identical(data, tmp_path):
    comparer = build_tiny()
    before = state_of(comparer)
    trainer_of(comparer, data, tmp_path).train()
    for name, parameter in comparer.named_parameters():
        same = torch.equal(parameter, before[name])
        assert same != parameter.requires_grad, name


def test_one_micro_batch_of_eight_equals_eight_of_one(data, tmp_path):
    ends = []
    for batch, accumulation in ((8, 1), (1, 8)):
        torch.manual_seed(0)
        comparer = build_tiny()
        config = replace(TRAIN, batch_pairs=batch, accumulation=accumulation)
        trainer_of(comparer, data, tmp_path, config).train()
        ends.append(state_of(comparer))
    torch.testing.assert_close(ends[0], ends[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("precision", "mixed"), [("fp32", "no"), ("bf16", "bf16")])
def test_precision_is_the_configurations_whatever_accelerate_launch_says(
    data, tmp_path, monkeypatch, precision, mixed
):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    config = replace(TRAIN, precision=Precision(precision))
    trainer = trainer_of(build_tiny(), data, tmp_path, config)
    assert trainer.accelerator.mixed_precision == mixed


def test_the_last_steps_have_a_record_too(data, tmp_path):
    records: list[dict[str, float]] = []
    config = replace(TRAIN, log_every=2)
    trainer_of(build_tiny(), data, tmp_path, config, callbacks=[RunLog(records.append)]).train()
    assert [record["step"] for record in records if "loss" in record] == [2, 3]


def test_groups_have_their_learning_rates_and_biases_no_decay(data, tmp_path):
    trainer = trainer_of(build_tiny(), data, tmp_path)
    groups = {group["name"]: group for group in trainer.create_optimizer().param_groups}
    assert {name: group["lr"] for name, group in groups.items()} == {
        "lora": 1e-2,
        "projector": 1e-3,
        "projector_bias": 1e-3,
    }
    assert groups["projector_bias"]["weight_decay"] == 0.0
    assert groups["lora"]["weight_decay"] == groups["projector"]["weight_decay"] == 0.1
    assert len(groups["projector_bias"]["params"]) == len(groups["projector"]["params"]) == 2


def test_a_non_finite_loss_stops_before_the_weights_change(data, tmp_path):
    comparer = build_tiny()
    with torch.no_grad():
        comparer.base.model.model.multi_modal_projector.linear_1.bias[0] = float("nan")
    before = state_of(comparer)
    with pytest.raises(HealthError, match="the loss is nan"):
        trainer_of(comparer, data, tmp_path).train()
    torch.testing.assert_close(state_of(comparer), before, atol=0, rtol=0, equal_nan=True)


@pytest.mark.parametrize(("values", "best_from"), [([0.6, 0.8, 0.7], 0.0), ([0.9, 0.8, 0.7], 0.6)])
def test_best_is_the_best_validated_checkpoint_among_the_candidates(
    data, tmp_path, values, best_from
):
    left = iter(values)
    config = replace(TRAIN, validate_every=1 / 3, best_from=best_from)
    validate = lambda step: {**dict.fromkeys(SHOWN, 0.5), "accuracy": next(left)}  # noqa: E731
    trainer = trainer_of(build_tiny(), data, tmp_path, config, validate)
    trainer.train()
    assert trainer.state.best_metric == 0.8
    assert '"step": 2' in (tmp_path / "best" / "meta.json").read_text()


def test_training_stops_early_when_the_metric_no_longer_improves(data, tmp_path):
    stopping = EarlyStoppingConfig(patience=1, min_delta=0.0)
    config = replace(TRAIN, epochs=4, validate_every=1 / 12, early_stopping=stopping)
    trainer = trainer_of(build_tiny(), data, tmp_path, config)
    trainer.train()
    assert trainer.state.global_step == 2 < trainer.state.max_steps


def test_records_hold_terms_that_add_up_to_the_loss(data, tmp_path):
    records: list[dict[str, float]] = []
    trainer_of(build_tiny(), data, tmp_path, callbacks=[RunLog(records.append)]).train()
    steps = [record for record in records if "loss" in record]
    assert [record["step"] for record in steps] == [1, 2, 3]
    for record in steps:
        total = record["cross_entropy"] + 1.0 * record["consistency"]
        assert record["loss"] == pytest.approx(total, rel=1e-5)
    assert steps[0]["lr_lora"] == pytest.approx(10 * steps[0]["lr_projector"])


def test_the_log_line_has_the_documented_form():
    logs = {
        "epoch": 0.125,
        "loss": 1.234,
        "cross_entropy": 1.1,
        "consistency": 0.067,
        "accuracy": 0.375,
        "lr_projector": 5e-4,
        "lr_lora": 5e-5,
        "grad_norm": 1.23,
    }
    assert log_line(32, logs) == (
        "Batch   32 | Epoch 0.12500 | Loss: 1.234e+00 (CE: 1.100e+00, Cons: 6.700e-02) | "
        "Acc: 0.3750 | LR: Proj = 5.00e-04, LoRA = 5.00e-05 | Grad: 1.23e+00"
    )
