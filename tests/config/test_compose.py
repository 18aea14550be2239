"""load_config beside a Hydra that belongs to the program which calls it."""

import logging
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.version import getbase

from lmol.config import load_config

PROGRAM = """
import hydra
from hydra.core.hydra_config import HydraConfig
from lmol.config import load_config

@hydra.main(version_base="1.2", config_path=None)
def main(values):
    before = HydraConfig.get().job.name
    print("seed", load_config("seed=7").seed)
    assert HydraConfig.get().job.name == before

main()
"""


def host_state() -> tuple[object, ...]:
    root = logging.getLogger()
    logs = (root.level, list(root.handlers), root.disabled)
    return (*logs, list(warnings.filters), random.getstate(), Path.cwd(), dict(os.environ))


def test_the_hydra_of_a_notebook_stays_as_it_was(tmp_path):
    (tmp_path / "mine.yaml").write_text("value: 3\n")
    with initialize_config_dir(str(tmp_path), version_base="1.2"):
        hydra, base, state = GlobalHydra.instance().hydra, getbase(), host_state()
        assert load_config("seed=7").seed == 7
        assert GlobalHydra.instance().hydra is hydra
        assert (getbase(), host_state()) == (base, state)
        assert compose("mine").value == 3
    load_config()
    assert not GlobalHydra.instance().is_initialized()


def test_it_works_in_a_program_with_its_own_hydra_main(tmp_path):
    (tmp_path / "host.py").write_text(PROGRAM)
    ended = subprocess.run(
        [sys.executable, "host.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith("seed 7\n")
