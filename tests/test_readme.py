"""The README's commands are understood as they stand."""

import re
import shlex
from pathlib import Path

import pytest

from lmol.config import load_config

README = Path(__file__).parents[1].joinpath("README.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines()]
COMMANDS = [line for line in LINES if line.startswith("python -m lmol.run")]


def test_there_are_commands():
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("line", [line for line in COMMANDS if " -m fold" not in line])
def test_a_command_of_the_readme_composes(line):
    overrides = shlex.split(line, comments=True)[3:]
    if "--help" not in overrides:
        assert load_config(*overrides).name


@pytest.mark.parametrize("line", [line for line in COMMANDS if " -m fold" in line])
def test_a_sweep_of_the_readme_names_folds(line):
    assert shlex.split(line, comments=True)[3:] == ["-m", "fold=1,2,3,4,5"]
