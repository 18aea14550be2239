"""Every task runs with a model of another kind; abilities that it lacks are refused."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lmol import load_comparer
from lmol.run import main
from tests import second_model
from tests.blank_pictures import draw_in_earnest
from tests.tasks.conftest import SMALL

MODEL = """\
_target_: lmol.model.second.ScoreModelSpec
width: 16
cache_features: true
"""
SECOND = ("--config-dir=mine", "model=second", *SMALL, "optim.lr=0.01", "train.epochs=3",
          "data.source.num_images=120", "data.schedule.num_pairs=960")  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run of model=second, whose class stands where models of the package do."""
    folder = tmp_path_factory.mktemp("second")
    (folder / "mine/model").mkdir(parents=True)
    (folder / "mine/model/second.yaml").write_text(MODEL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        draw_in_earnest(patch)
        patch.setitem(sys.modules, "lmol.model.second", second_model)
        arguments = (*SECOND, "audit.interval=20", "hydra.run.dir=run")
        patch.setattr(sys, "argv", ["lmol", *arguments])
        main()
    return folder


@pytest.fixture
def run(command, trained, monkeypatch):
    """That run, in the folder where commands run."""
    monkeypatch.setitem(sys.modules, "lmol.model.second", second_model)
    shutil.copytree(trained, Path.cwd(), dirs_exist_ok=True)
    return Path("run")


def test_it_is_trained_judged_and_ranked(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["order_consistency"] == 1
    trained = pd.read_csv(run / "trainable.csv")
    assert set(trained["group"]) == {"score", "near"}
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    training = [record for record in records if "loss" in record]
    assert all("lr_model" in record for record in training)
    entropy = [record["cross_entropy"] for record in training]
    assert np.mean(entropy[-20:]) < 0.9 * np.mean(entropy[:20])
    log = (run / "run.log").read_text()
    assert "LR: model = " in log
    assert (run / "plots/overview.png").exists()


def test_it_is_audited_with_the_kinds_of_layers_that_it_has(run):
    tables = sorted((run / "audit").glob("activation_table_step_*.csv"))
    assert set(pd.read_csv(tables[0])["kind"]) == {"tanh"}
    gradients = pd.read_csv(run / "audit/grad_table_step_1.csv")
    assert set(gradients["group"]) == {"score", "near"}
    assert list((run / "audit").glob("gradient_flow_step_*.png"))


def test_its_checkpoint_is_evaluated_compared_ranked_and_reported(run, command):
    again = ("run=run", "--config-dir=mine")
    assert command("task=evaluate", *again, "hydra.run.dir=again", "tracking=off") == (0, "")
    before, after = (pd.read_csv(f"{name}/predictions.csv") for name in ("run", "again"))
    pd.testing.assert_frame_equal(before, after)
    assert command("task=rank", *again, "hydra.run.dir=ranked") == (0, "")
    assert len(pd.read_csv("ranked/ranking.csv")) == 24
    assert command("task=report", "runs=run", "report.page=page.html") == (0, "")
    images = pd.read_csv(run / "images.csv")["path"]
    comparer = load_comparer(run)
    found = comparer.compare(images[0], images[1])
    assert found.consistent
    assert np.isclose(found.p_first + found.p_second + found.p_similar, 1, atol=1e-6)


def test_what_it_cannot_do_is_refused(run, command):
    code, errors = command("task=export", "run=run", "--config-dir=mine")
    assert code == 2
    assert "ScoreModel; expected a model that stock classes load" in errors
    code, errors = command("task=evaluate", "run=run", "eval.decode=generate", "tracking=off")
    assert code == 2
    assert "ScoreModel, which has no words" in errors
    code, errors = command(*SECOND, "train.activation_checkpointing=true")
    assert code == 2
    assert "true with ScoreModel, which keeps its activations" in errors


def test_a_wrong_setting_of_it_is_reported_with_the_right_one(run, command):
    code, errors = command(*SECOND, "model.widht=3")
    assert code == 2
    assert "did you mean model.width?" in errors


def test_a_frozen_part_that_changed_is_another_model(run, command, monkeypatch):
    monkeypatch.setattr(second_model, "SIDE", 10)
    code, errors = command("task=evaluate", "run=run", "tracking=off")
    assert code == 2
    assert "a base with other weights" in errors
