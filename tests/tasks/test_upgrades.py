"""Folders written by earlier commits are still read; formats of a later version are refused.

tests/stored holds small ones: a finished run of the last commit before training states, and a run
of the first commit with them, killed after step 6.
"""

import json
import shutil
from pathlib import Path

import pytest

from lmol.errors import RunFolderError
from lmol.runs.formats import FORMAT
from lmol.runs.state_folder import states_of
from lmol.training.state_files import write_state
from lmol.training.states import read_training_state

STORED = Path(__file__).parents[1] / "stored"
RUN = Path("outputs/one/run")


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A copy of the stored finished run, in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(STORED / "finished_c4ec143", RUN))


def test_a_run_from_before_is_evaluated_ranked_and_reported(command, finished):
    before = json.loads((finished / "metrics.json").read_text())
    assert command("task=evaluate", "threads=1", "hydra.run.dir=evaluated") == (0, "")
    after = json.loads(Path("evaluated/metrics.json").read_text())
    same = ("accuracy", "pairs", "order_consistency")
    assert {key: after[key] for key in same} == {key: before[key] for key in same}
    assert command("task=rank", "threads=1", "hydra.run.dir=ranked") == (0, "")
    assert Path("ranked/ranking.csv").is_file()
    assert command("task=report", f"runs={finished}", "hydra.run.dir=reported") == (0, "")


def test_a_state_from_before_is_read():
    state = read_training_state(states_of(STORED / "killed")[-1])
    assert (state["trainer"]["global_step"], state["validation_due"]) == (6, False)
    projector = [t for name, t in state["weights"].items() if "linear_1.weight" in name]
    assert [tuple(tensor.shape) for tensor in projector] == [(64, 160)]
    assert len(state["parts"]["monitor"]["history"]["steps"]) == 6


def test_a_state_of_a_later_version_is_refused(tmp_path):
    write_state(tmp_path / "state" / "000001-step-6", {"format": FORMAT + 1})
    with pytest.raises(RunFolderError, match=f"got format {FORMAT + 1}; expected format {FORMAT}"):
        read_training_state(tmp_path / "state" / "000001-step-6")


def test_a_run_of_a_later_version_is_refused(command, finished):
    config = finished / "config.yaml"
    config.write_text(config.read_text().replace(f"format: {FORMAT}", f"format: {FORMAT + 1}"))
    code, errors = command("task=evaluate", f"run={finished}")
    assert code == 2
    assert f"got format {FORMAT + 1}; expected format {FORMAT}" in errors
