"""The two functions for notebooks do what the commands do, and return results as objects."""

from pathlib import Path

import pandas as pd
import pytest

import lmol
from lmol.errors import LmolError, RunFolderError
from lmol.workflow import validation
from tests.tasks.conftest import SMALL
from tests.tasks.test_evaluate import metrics, read


@pytest.fixture(scope="module")
def trained_here(tmp_path_factory):
    """A run folder, what lmol.train returned, and how often validation pairs were judged."""
    folder, judged, stock = tmp_path_factory.mktemp("notebook"), [], validation.judge_validation

    def counted(session):
        judged.append(session)
        return stock(session)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(validation, "judge_validation", counted)
        trained = lmol.train(lmol.load_config(*SMALL), folder / "run")
    return folder / "run", trained, len(judged)


def test_training_returns_what_it_saves(trained_here):
    folder, trained, _ = trained_here
    assert trained.result.metrics.items() <= read(folder / "metrics.json").items()
    saved = pd.read_csv(folder / "ranking.csv")
    pd.testing.assert_frame_equal(trained.result.ranking, saved)
    assert trained.best == read(folder / "checkpoints/best/meta.json")["best_value"]
    assert read(folder / "manifest.json")["status"] == "done"


def test_each_state_of_the_weights_is_validated_once(trained_here):
    folder, _, judged = trained_here
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert judged == sum("eval_accuracy" in line for line in lines) == 2


def test_it_is_the_training_of_the_command(trained_here, trained):
    folder, _, _ = trained_here
    assert metrics(trained) == metrics(folder)


def test_evaluating_returns_the_held_out_results(trained_here, tmp_path):
    folder, trained, _ = trained_here
    again = lmol.evaluate(folder, tmp_path / "again", "eval.batch_pairs=16", "tracking=off")
    assert again.metrics == trained.result.metrics
    assert again.predictions.equals(trained.result.predictions)
    few = lmol.evaluate(folder, tmp_path / "few", "eval.pairs=20", "tracking=off")
    assert few.metrics["pairs"] == len(few.predictions) == 20


def test_mistakes_are_the_errors_of_the_command(trained_here, tmp_path, monkeypatch):
    folder, _, _ = trained_here
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunFolderError, match="a run folder that exists"):
        lmol.train(lmol.load_config(*SMALL), folder)
    with pytest.raises(LmolError, match="task: got audit; expected train"):
        lmol.train(lmol.load_config("task=audit"), tmp_path / "run")
    with pytest.raises(LmolError, match=r"optim\.lr_lora: .*which takes it from the finished run"):
        lmol.evaluate(folder, tmp_path / "other", "optim.lr_lora=1")
    assert list(Path().iterdir()) == []
