"""No code of somebody else's run is executed: classes, packages, pickles, code of a base."""

import json
import re
import shutil
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest
import torch
import yaml

import lmol.model
from lmol.config import instantiate, load_config
from lmol.config.targets import target_problems
from lmol.errors import CheckpointError, ConfigError, ModelError
from lmol.inference.loading import load_comparer
from lmol.model.checkpoint import read_meta
from lmol.model.spec import build_model
from tests.hostile.conftest import change
from tests.tiny import TINY

TRAINER = "lmol.training.trainer.ComparisonTrainer"
PAYLOAD = "from pathlib import Path\nPath('executed').touch()\n"
HOSTILE = [
    ("data.source", "os.system", "outside lmol is refused"),
    ("data.source", "lmol.runs.environment.subprocess.Popen", "there is no module"),
    ("data.source", "lmol.runs.environment.Path", "it is pathlib.*not a class of lmol"),
    ("data.source", TRAINER, "a source of images"),
    ("data.source", "lmol.model.vlm.backbone.LlavaBackbone", "load -> DataSet"),
    ("data.schedule", "lmol.data.sources.scut.ScutFBP5500", "a policy of pairs"),
    ("model", TRAINER, "settings of a model"),
    ("model.backbone", "lmol.data.sources.score_table.ScoreTable", "load -> Base"),
    ("model.lora", "shutil.rmtree", "outside lmol is refused"),
    ("train.trainer", "lmol.data.collator.PairCollator", "a subclass of the Trainer"),
    ("train.collator", "lmol.data.sources.score_table.ScoreTable", "callable objects"),
]


@pytest.mark.parametrize(("key", "name", "message"), HOSTILE)
def test_a_class_is_of_lmol_and_fits_its_place(key, name, message):
    [problem] = target_problems(key, {"_target_": name}, complete=True)
    assert problem.where == f"{key}._target_"
    assert re.search(message, str(problem))
    with pytest.raises(ConfigError, match=message):
        instantiate({"_target_": name}, key)


def test_all_classes_of_a_saved_configuration_are_checked(foreign):
    values = yaml.safe_load((foreign / "config.yaml").read_text())
    values.pop("format")
    last = {key: (name, message) for key, name, message in HOSTILE if key != "model"}
    for key, (name, _) in last.items():
        reduce(getitem, key.split("."), values)["_target_"] = name
    with pytest.raises(ConfigError) as caught:
        load_config("task=evaluate", saved=lambda run, fold: [(foreign, values, Path())])
    # What is refused at any depth of a node hides what is wrong otherwise.
    found = {problem.where.removesuffix("._target_") for problem in caught.value.problems}
    assert found == last.keys() - {"model.backbone"}


@pytest.mark.parametrize("name", ["os.system", TRAINER, "lmol.runs.environment.Path"])
def test_a_checkpoint_names_a_model_in_the_same_way(foreign, name):
    meta = foreign / "checkpoints/best/meta.json"
    for path in (("comparer", "model"), ("comparer", "model", "backbone")):
        stored = json.loads(meta.read_text())
        reduce(getitem, path, stored)["_target_"] = name
        with pytest.raises((CheckpointError, ConfigError), match=name):
            build_model(stored["comparer"])


def test_the_command_refuses_it_in_a_line(command, foreign):
    change(foreign / "config.yaml", lambda c: c["data"]["source"].update(_target_=TRAINER))
    code, errors = command("task=evaluate", f"run={foreign}")
    assert code == 2
    assert f"data.source._target_: got {TRAINER}, a class of another kind" in errors
    assert "Traceback" not in errors


def test_a_base_may_not_be_a_package_that_the_run_brings_along(foreign, monkeypatch):
    package = foreign / "payload"
    shutil.copytree(Path(lmol.model.__file__).parent / "tiny_base", package / "base")
    (package / "__init__.py").write_text(PAYLOAD)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    meta = json.loads((foreign / "checkpoints/best/meta.json").read_text())
    meta["comparer"]["model"]["backbone"]["weights"] = "pkg://outputs.foreign.run.payload.base"
    (foreign / "checkpoints/best/meta.json").write_text(json.dumps(meta))
    with pytest.raises(ModelError, match="only pkg://lmol"):
        load_comparer(foreign)
    assert not Path("executed").exists()


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A copy of the tiny base."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(Path(lmol.model.__file__).parent / "tiny_base", "base"))


def test_a_base_of_pickles_is_refused(base):
    (base / "model.safetensors").unlink()
    torch.save({}, base / "pytorch_model.bin")
    with pytest.raises(ModelError, match="could not be read"):
        replace(TINY, weights=str(base)).load()


@pytest.mark.parametrize("file", ["config.json", "processor_config.json", "tokenizer_config.json"])
def test_code_of_a_base_is_not_run(base, file):
    (base / "code.py").write_text(PAYLOAD)
    kinds = ("AutoConfig", "AutoProcessor", "AutoTokenizer", "AutoImageProcessor")
    custom = {"auto_map": dict.fromkeys(kinds, "code.X"), "model_type": "custom"}
    change(base / file, lambda values: values.update(custom))
    with suppress(ModelError):  # where the stock class ignores the name of the code, it loads
        replace(TINY, weights=str(base)).load()
    assert not Path("executed").exists()


def test_a_checkpoint_is_of_safetensors_and_json(foreign):
    folder = foreign / "checkpoints/best"
    (folder / "adapter_model.safetensors").unlink()
    torch.save({}, folder / "adapter_model.bin")
    assert read_meta(folder)
    with pytest.raises(CheckpointError, match="no readable checkpoint"):
        load_comparer(foreign)
