"""Keys in the environment reach no file of a run, and no run's configuration reads them."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from lmol.config import load_config
from lmol.config.literal import literal
from lmol.config.saved import with_resumed

MARKER = "b1f3ca" * 6 + "abcd"
SECRETS = ("WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY")
READS = "${oc.env:HF_TOKEN}"


@pytest.fixture(autouse=True)
def _secrets(monkeypatch):
    for name in SECRETS:
        monkeypatch.setenv(name, MARKER)


def holding(folder: Path) -> list[str]:
    """Return the files below a folder that hold the marker, in their names too."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(f) for f in files if MARKER in str(f) or MARKER.encode() in f.read_bytes()]


def saved(foreign: Path) -> dict[str, Any]:
    values = yaml.safe_load((foreign / "config.yaml").read_text())
    values.pop("format")
    return dict(values)


@pytest.mark.parametrize("text", [
    READS, "a ${oc.env:HF_TOKEN} b", "\\${x}", "\\\\${oc.env:HF_TOKEN}", "${", "$${a}", "x\\",
    "\n${b}",
])  # fmt: skip
def test_a_literal_text_is_read_as_it_stands(text):
    assert OmegaConf.create(literal({"a": [text]})).a[0] == text


def test_interpolations_of_a_saved_configuration_are_texts(foreign, tmp_path):
    (tmp_path / READS).mkdir()
    values = saved(foreign)
    values["data"] |= {"question": READS, "root": READS, "outside": True}
    values |= {"images": READS, "threads": 3}
    values["export"] |= {"folder": "/somewhere"}
    values["tracking"] |= {"project": "p", "tags": [READS]}
    config = load_config(
        "task=rank", saved=lambda run, fold: [(tmp_path / READS, values, tmp_path)]
    )
    assert config.data.question == READS
    assert config.data.root == str(tmp_path / READS)
    assert config.tracking.tags == [READS]
    assert config.run == str(tmp_path / READS)
    assert config.threads == 3
    assert (config.images, config.export.folder, config.data.outside) == (None, None, False)


def test_a_command_may_set_what_a_run_may_not(foreign, tmp_path):
    overrides = ("task=rank", "data.outside=true", "images=mine")
    config = load_config(*overrides, saved=lambda run, fold: [(foreign, saved(foreign), tmp_path)])
    assert (config.images, config.data.outside) == ("mine", True)


def test_an_unfinished_run_reads_no_environment_either(foreign, tmp_path):
    composed, values = OmegaConf.create(saved(foreign)), saved(foreign)
    values["data"] |= {"question": READS, "outside": True}
    values["tracking"] |= {"tags": [READS]}
    merged = with_resumed(composed, [], (foreign / READS, values, tmp_path))
    assert merged.data.question == READS
    assert merged.tracking.tags[0] == READS
    assert merged.resume == str(foreign / READS)
    assert not merged.data.outside


def test_no_key_is_in_a_run_its_tracking_or_its_report(command, killed):
    assert command(f"resume={killed}", "tracking=offline") == (0, "")
    assert list((killed / "wandb").rglob("*.wandb"))
    assert command("task=report", f"runs={killed}", "hydra.run.dir=outputs/report") == (0, "")
    assert Path("outputs/report/report.html").is_file()
    assert holding(Path("outputs")) == []
    assert set(SECRETS) <= set(os.environ)
