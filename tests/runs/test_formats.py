"""Stored files carry the version of their layout; other versions are refused."""

import json

import pytest
import yaml

from lmol.config import load_config
from lmol.errors import RunFolderError
from lmol.model.checkpoint import load_checkpoint, save_checkpoint
from lmol.runs.formats import FORMAT, require_format
from lmol.runs.past_runs import PastRun
from lmol.runs.run_folder import RunFolder
from tests.tiny import build_tiny


def test_a_run_s_configuration_carries_it(tmp_path):
    with RunFolder.claim(tmp_path, load_config()):
        pass
    file = tmp_path / "config.yaml"
    stored = yaml.safe_load(file.read_text())
    assert stored["format"] == FORMAT
    past = PastRun.read(tmp_path)
    assert "format" not in past.config()
    file.write_text(yaml.safe_dump(stored | {"format": 99}))
    with pytest.raises(RunFolderError, match=r"config\.yaml: got format 99; expected format 1"):
        past.config()


def test_a_checkpoint_carries_it(tmp_path):
    comparer = build_tiny()
    save_checkpoint(comparer, tmp_path / "last", {"step": 1})
    file = tmp_path / "last/meta.json"
    stored = json.loads(file.read_text())
    assert stored["format"] == FORMAT
    file.write_text(json.dumps(stored | {"format": 2}))
    with pytest.raises(RunFolderError, match=r"meta\.json: got format 2"):
        load_checkpoint(comparer, tmp_path / "last")


def test_what_was_written_before_versions_is_refused_by_its_format(tmp_path):
    with pytest.raises(RunFolderError, match="got format 0; expected format 1"):
        require_format(tmp_path, {})
