"""The real command with both baselines, and with the model as it came."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from lmol import load_comparer
from lmol.config.schema import ProjectorStart
from lmol.model.baseline.ridge import Ridge
from tests.forked import killed_in
from tests.tasks.conftest import SMALL, run_in
from tests.tiny import TINY, build_tiny

RIDGE = ("model=ridge", "audit=off", *SMALL)
HEAD = ("model=pairwise_head", "audit.interval=8", *SMALL)
ZERO_SHOT = ("+baseline=zero_shot", "audit=off", "eval.pairs=40", *SMALL)
FITTED = "lmol.workflow.training:complete_checkpoints"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a run of each."""
    folder = tmp_path_factory.mktemp("baselines")
    for name, arguments in (("ridge", RIDGE), ("head", HEAD), ("zero", ZERO_SHOT)):
        run_in(folder, *arguments, f"hydra.run.dir={name}")
    return folder


@pytest.fixture
def here(command, runs):
    """A copy of these runs in the folder where commands run."""
    shutil.copytree(runs, Path.cwd(), dirs_exist_ok=True)
    return Path.cwd()


def meta(run, kind="best"):
    return json.loads((Path(run) / "checkpoints" / kind / "meta.json").read_text())


def weights(run, kind="best", name="model.safetensors"):
    return load_file(Path(run) / "checkpoints" / kind / name)


@pytest.mark.parametrize("name", ["ridge", "head"])
def test_it_goes_through_all_tasks(name, here, command):
    metrics = json.loads((here / name / "metrics.json").read_text())
    assert metrics["order_consistency"] == 1
    again = command("task=evaluate", f"run={name}", "hydra.run.dir=again")
    assert again == (0, "")
    before, after = (pd.read_csv(f"{one}/predictions.csv") for one in (name, "again"))
    pd.testing.assert_frame_equal(before, after)
    assert command("task=rank", f"run={name}", "hydra.run.dir=ranked") == (0, "")
    assert pd.read_csv("ranked/ranking.csv")["estimate"].notna().all()
    images = pd.read_csv(f"{name}/images.csv")["path"]
    assert command("task=compare", f"run={name}", f"images=[{images[0]},{images[1]}]") == (0, "")
    assert load_comparer(name).compare(images[0], images[1]).consistent
    groups = {"ridge": {"weight", "bias", "slope", "band"}, "head": {"head", "lean", "near"}}
    assert set(pd.read_csv(f"{name}/trainable.csv")["group"]) == groups[name]


def test_ridge_is_fitted_at_once_and_says_how(here):
    facts = json.loads((here / "ridge/manifest.json").read_text())["fitted"]
    assert facts["penalty"] > 0
    for kind in ("best", "last"):
        assert meta("ridge", kind)["step"] == 0
        assert meta("ridge", kind)["metric"] == "accuracy"
    records = [json.loads(line) for line in Path("ridge/metrics.jsonl").read_text().splitlines()]
    [record] = records
    assert record["step"] == 0
    assert record["eval_accuracy"] == meta("ridge")["best_value"]
    assert "Fitted: penalty " in (here / "ridge/run.log").read_text()


def test_ridge_is_fitted_without_an_image_of_the_held_out_fold(command, monkeypatch):
    seen, fit = {}, Ridge.fit

    def noting(model, training, validation):
        for name, part in (("train", training), ("validation", validation)):
            images = set(part.images["image"])
            assert {*part.pairs["img1"], *part.pairs["img2"]} <= images
            seen[name] = images
        return fit(model, training, validation)

    monkeypatch.setattr(Ridge, "fit", noting)
    assert command(*RIDGE, "hydra.run.dir=run") == (0, "")
    parts = pd.read_csv("run/images.csv").groupby("part")["image"].agg(set)
    assert len(parts["held_out"]) == 12
    assert seen == {name: parts[name] for name in ("train", "validation")}


def test_the_head_is_trained_by_the_ordinary_trainer(here):
    assert meta("head", "last")["step"] == 12
    lines = (here / "head/metrics.jsonl").read_text().splitlines()
    assert any("lr_model" in json.loads(line) for line in lines)


def test_zero_shot_is_the_model_as_it_came(here):
    stock = build_tiny(r=8, alpha=32, projector=ProjectorStart.PRETRAINED)
    found = weights("zero", name=stock.weights_file)
    own = {name: one for name, one in stock.trained_state().items() if "lora" not in name}
    assert own
    assert all(torch.equal(found[name], one) for name, one in own.items())
    assert all((one == 0).all() for name, one in found.items() if "lora_B" in name)
    assert meta("zero")["step"] == 0
    records = Path("zero/metrics.jsonl").read_text().splitlines()
    assert [json.loads(record)["step"] for record in records] == [0]


def test_one_page_shows_them_all(here, command):
    assert command("task=report", "runs=[ridge,head,zero]", "report.page=page.html") == (0, "")
    page = Path("page.html").read_text()
    assert "majority class" in page


def test_what_has_no_steps_is_not_audited(command):
    for chosen in ("model=ridge", "+baseline=zero_shot"):
        code, errors = command("task=audit", chosen, *SMALL)
        assert code == 2
        assert "without optimizer steps; expected a model that is trained by steps" in errors


def test_a_killed_fit_begins_anew(runs, tmp_path, command):
    killed_in(tmp_path, FITTED, 1, *RIDGE, "hydra.run.dir=killed")
    manifest = Path("killed/manifest.json")
    assert json.loads(manifest.read_text())["status"] == "running"
    assert command("resume=killed") == (0, "")
    assert json.loads(manifest.read_text())["status"] == "done"
    one, other = weights(runs / "ridge"), weights("killed")
    assert all(torch.equal(one[name], other[name]) for name in one)
    lines = Path("killed/metrics.jsonl").read_text().splitlines()
    assert len(lines) == 1


@pytest.mark.parametrize("model", ["ridge", "pairwise_head"])
def test_a_wrong_encoder_is_one_message(command, model):
    arguments = (f"model={model}", "model.encoder.weights=nobody/nothing", *SMALL)
    code, errors = command(*arguments)
    assert code == 2
    assert errors.count("model.encoder.weights: got 'nobody/nothing', which could not be read") == 1
    code, errors = command(f"model={model}", "model.encoder.wieghts=x", *SMALL)
    assert code == 2
    assert "did you mean model.encoder.weights?" in errors


def test_no_epochs_are_only_for_a_model_without_random_parts(command):
    code, errors = command("train.epochs=0", *SMALL)
    assert code == 2
    assert "model.projector=pretrained" in errors


def test_another_place_of_the_encoder_is_found(here, command):
    folder = shutil.copytree(TINY.location, "moved")
    assert command("task=evaluate", "run=ridge", f"model.encoder.weights={folder}") == (0, "")
    comparer = load_comparer("ridge", weights=str(folder))
    assert comparer.model.identity() == load_comparer("ridge").model.identity()
