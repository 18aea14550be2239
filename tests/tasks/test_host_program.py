"""lmol in the program of somebody else, whose global state stays as it was."""

import subprocess
import sys

import pytest

HOST = """
import logging, os, random, sys, warnings
from transformers.utils import logging as loading

def logs():
    levels = [logging.getLogger(name).level for name in ("", "transformers", "bitsandbytes")]
    return levels, loading.get_verbosity(), loading.is_progress_bar_enabled()

before = logs()
import lmol.inference.loading, lmol.tasks.train
assert logs() == before, logs()

import hydra, numpy, torch, transformers
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.version import VersionBase
from lmol.config import load_config

def state():
    levels = {name: logging.getLogger(name).level for name in ("", "transformers", "bitsandbytes")}
    handlers = {name: list(logging.getLogger(name).handlers) for name in levels}
    return {
        "hydra": GlobalHydra.instance().hydra,
        "version": VersionBase.instance().version_base,
        "levels": levels,
        "handlers": handlers,
        "verbosity": transformers.utils.logging.get_verbosity(),
        "bars": transformers.utils.logging.is_progress_bar_enabled(),
        "filters": list(warnings.filters),
        "random": random.getstate(),
        "numpy": str(numpy.random.get_state()),
        "torch": torch.get_rng_state().tolist(),
        "folder": os.getcwd(),
        "path": list(sys.path),
        "threads": torch.get_num_threads(),
    }

def load(run):
    before, environment = state(), dict(os.environ)
    import lmol
    comparer = lmol.load_comparer(run)
    after = state()
    changed = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    assert not changed, str(changed)[:2000]
    assert dict(os.environ).items() ^ environment.items() == set()
    assert comparer.compare(*IMAGES).verdict
"""

MAIN = """
@hydra.main(version_base="1.2", config_path=None)
def main(values):
    before = HydraConfig.get().job.name
    load(RUN)
    assert load_config("seed=7").seed == 7
    assert HydraConfig.get().job.name == before

sys.argv[1:] = ["hydra.output_subdir=null", "hydra.run.dir=."]
main()
"""

NOTEBOOK = """
with hydra.initialize_config_module("lmol.conf", version_base="1.2"):
    load(RUN)
    assert hydra.compose("config").seed == 42
load(RUN)
"""


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(MAIN, id="hydra.main"),
        pytest.param(NOTEBOOK, id="initialize", marks=pytest.mark.slow),
    ],
)
def test_importing_composing_and_loading_change_nothing(trained_once, tmp_path, faces, use):
    run = trained_once / "outputs/one/run"
    names = f"RUN, IMAGES = {str(run)!r}, {faces['path'].iloc[:2].tolist()!r}\n"
    (tmp_path / "host.py").write_text(HOST + names + use)
    arguments = [sys.executable, "host.py"]
    ended = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
