"""Every task runs with votes of people in the place of scores; what needs scores is left out."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import voting_source
from tests.blank_pictures import draw_in_earnest
from tests.tasks.conftest import SMALL, run_in

DATA = """\
defaults:
  - schedule: votes
  - _self_
root: faces
outside: false
source: {_target_: lmol.data.sources.voting.VotingSource, root: "${data.root}", num_pairs: 800}
theta: 0.2
question: Which face looks more attractive?
answers: {first: First, second: Second, similar: Similar}
"""
MODULE = "lmol.data.sources.voting"
VOTED = ("--config-dir=mine", "data=voted", "train.epochs=3",
         *(s for s in SMALL if not s.startswith("data.")))  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voted")
    (folder / "mine/data").mkdir(parents=True)
    (folder / "mine/data/voted.yaml").write_text(DATA)
    with pytest.MonkeyPatch.context() as patch:
        draw_in_earnest(patch)
        patch.setitem(sys.modules, MODULE, voting_source)
        return run_in(folder, *VOTED, "hydra.run.dir=run")


@pytest.fixture
def run(command, trained, monkeypatch):
    """That run, in the folder where commands run."""
    monkeypatch.setitem(sys.modules, MODULE, voting_source)
    shutil.copytree(trained, Path.cwd(), dirs_exist_ok=True)
    return Path("run")


def read(path):
    return json.loads(Path(path).read_text())


def test_votes_are_learnt_and_metrics_of_scores_are_left_out(run):
    metrics, predictions = read(run / "metrics.json"), pd.read_csv(run / "predictions.csv")
    majority = predictions["label"].value_counts(normalize=True).max()
    assert metrics["accuracy"] > majority
    assert not {"pearson", "spearman", "kendall", "mae", "rmse"} & metrics.keys()
    assert list(pd.read_csv(run / "ranking.csv")) == ["image", "strength", "stderr", "rank"]
    assert not (run / "plots/ranking.png").exists()
    assert (run / "plots/overview.png").is_file()


def test_labels_are_shares_of_votes_and_images_are_split(run):
    [path] = (run / "pairs").glob("train_fold1_*.csv")
    pairs, images = pd.read_csv(path), pd.read_csv(run / "images.csv").set_index("image")
    shares = pairs[["p_first", "p_second", "p_similar"]]
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert ((3 * shares).round(6) % 1 == 0).all(axis=None)
    assert set(images.loc[pairs["img1"], "part"]) == {"train"}
    assert set(images.loc[pairs["img2"], "part"]) == {"train"}
    kept = len(pairs) + read(run / "metrics.json")["pairs"]
    kept += len(pd.read_csv(run / "checkpoints/last/validation.csv"))
    log = (run / "run.log").read_text()
    assert f"Fold 1: {800 - kept} comparisons of images in different parts are left out" in log


def test_it_is_evaluated_ranked_and_reported(run, command):
    assert command("task=evaluate", "run=run", "hydra.run.dir=again") == (0, "")
    assert read("again/metrics.json")["accuracy"] == read(run / "metrics.json")["accuracy"]
    assert command("task=rank", "run=run", "hydra.run.dir=ranked") == (0, "")
    assert "estimate" not in pd.read_csv("ranked/ranking.csv")
    assert command("task=report", "runs=run", "hydra.run.dir=report") == (0, "")
    assert "nan" not in Path("report/report.html").read_text().lower().split()


def test_a_metric_of_scores_chooses_no_checkpoint_without_scores(run, command):
    code, errors = command(*VOTED, "train.metric=pearson", "hydra.run.dir=other")
    assert code == 2
    assert "train.metric: got pearson, for images without scores" in errors
