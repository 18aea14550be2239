"""Somebody else's run folder: a copy of a stored one, which each test makes hostile."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tasks.conftest import command as command

STORED = Path(__file__).parents[1] / "stored"
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run, below the folder where commands run."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(STORED / "finished_c4ec143", "outputs/foreign/run"))


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that can be continued."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(STORED / "killed", "outputs/foreign/killed"))


def change(file: Path, how: Change) -> None:
    """Read a JSON or YAML file, change its values, and write it."""
    text = file.read_text()
    values = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    how(values)
    file.write_text(json.dumps(values) if file.suffix == ".json" else yaml.safe_dump(values))
