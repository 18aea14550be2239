"""task=audit by its real command, and what the audit and health leave in a run folder."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from lmol.training.trainer import ComparisonTrainer
from tests.tasks.conftest import SMALL


def read(path):
    return json.loads(Path(path).read_text())


def test_some_steps_are_audited_and_no_result_is_kept(command):
    code, err = command("task=audit", *SMALL, "audit.steps=3", "hydra.run.dir=run")
    assert (code, err) == (0, "")
    found = {str(path.relative_to("run")) for path in Path("run").rglob("*") if path.is_file()}
    for step in (1, 2, 3):
        assert f"audit/grad_table_step_{step}.csv" in found
        assert f"audit/gradient_flow_step_{step}.png" in found
    assert "audit/grad_table_step_4.csv" not in found
    assert not {name for name in found if "checkpoints" in name or "predictions" in name}
    assert not Path("run/checkpoints").exists()
    manifest = read("run/manifest.json")
    assert (manifest["status"], manifest["health"]["steps"]) == ("done", 3)
    assert manifest["health"]["findings"] == []
    steps = pd.read_csv("run/audit/steps.csv")
    assert steps["step"].tolist() == [1, 2, 3]
    # The schedule is that of the whole recipe: 12 steps, of which 2 are warm-up.
    lines = Path("run/metrics.jsonl").read_text().splitlines()
    rates = [json.loads(line)["lr_lora"] for line in lines]
    assert rates == pytest.approx([0.002, 0.004, 0.004])


def test_errors_are_reported_together_at_the_end(command):
    rates = ("optim.lr_lora=40", "optim.lr_projector=40", "audit.steps=3")
    code, err = command("task=audit", *SMALL, *rates, "hydra.run.dir=run")
    assert code == 2
    assert "large_updates (error), step 1" in err
    assert "Traceback" not in err
    assert "## error: large_updates" in Path("run/audit/summary.md").read_text()
    assert read("run/manifest.json")["status"] == "failed: health"
    assert Path("run/audit/grad_table_step_3.csv").is_file()


def test_an_audit_that_is_off_is_refused(command):
    code, err = command("task=audit", "audit=off", *SMALL)
    assert code == 2
    assert "audit.level: got off, for task=audit" in err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("audit.rules.dead_relu.threshold=1.5", "less than or equal to 1"),
        ("audit.rules.dead_relu.action=explode", "'log', 'skip_step', 'lower_lr', 'rollback'"),
        ("audit.rules.dead_relu.action=skip_step", "this rule is not checked before every step"),
        (
            "audit.rules.frozen_weights_changed.action=rollback",
            "this rule is checked after training",
        ),
        ("train.health.rules.overfiting.action=log", "did you mean"),
        ("audit.interval=0", "greater than or equal to 1"),
    ],
)
def test_wrong_settings_are_reported(command, override, message):
    code, err = command(*SMALL, override)
    assert code == 2
    assert message in err
    assert not Path("outputs").exists()


def test_a_run_that_health_stops_keeps_its_last_good_weights(command):
    """The learning rates are fine for two thirds of the run, until the gradient is infinite."""
    explode = "train.health.rules.gradient_norm_high.threshold=0"
    settings = (explode, "train.health.rules.gradient_norm_high.action=stop")
    window = ("train.health.window=16", "data.schedule.num_pairs=384", "train.validate_every=0.2")
    code, err = command(*SMALL, *settings, *window, "audit=off", "hydra.run.dir=run")
    assert code == 2
    assert "rule gradient_norm_high: got a finding: the median gradient norm is" in err
    assert "Traceback" not in err
    manifest = read("run/manifest.json")
    assert manifest["status"] == "failed: health"
    [finding] = manifest["health"]["findings"]
    assert (finding["rule"], finding["first_step"]) == ("gradient_norm_high", 16)
    assert finding["actions"] == ["step 16: stopped the run"]
    assert read("run/checkpoints/last/meta.json")["step"] == 10
    assert Path("run/checkpoints/last/validation.csv").is_file()
    assert not Path("run/metrics.json").exists()
    # Its weights can be used all the same.
    code, err = command("task=evaluate", "run=run", "checkpoint=last", "hydra.run.dir=judged")
    assert (code, err) == (0, "")
    assert read("judged/metrics.json")["pairs"] == 66


def test_a_base_that_something_wrote_into_ends_the_run_before_it_is_judged(command, monkeypatch):
    """The weights were trained on a base that is no longer there: they are of no use."""
    step = ComparisonTrainer.training_step

    def writing(trainer, *arguments, **options):
        with torch.no_grad():
            trainer.pair_model.base.model.get_input_embeddings().weight[0, 0] += 1.0
        return step(trainer, *arguments, **options)

    monkeypatch.setattr(ComparisonTrainer, "training_step", writing)
    code, err = command(*SMALL, "hydra.run.dir=run")
    assert code == 2
    assert "rule frozen_weights_changed: got a finding: 1 frozen tensors have changed" in err
    assert read("run/manifest.json")["status"] == "failed: health"
    assert not Path("run/checkpoints/last").exists()
    assert not Path("run/metrics.json").exists()
    assert "## error: frozen_weights_changed" in Path("run/audit/summary.md").read_text()


def test_recomputed_activations_give_no_estimate_of_a_batch(command):
    settings = ("train.activation_checkpointing=true", "audit.steps=2", "hydra.run.dir=run")
    assert command("task=audit", *SMALL, *settings) == (0, "")
    assert "The largest batch is not known" in Path("run/audit/summary.md").read_text()
