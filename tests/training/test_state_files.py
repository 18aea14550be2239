"""States in folders: nested values come back, damage is found, and only two are kept."""

import json
import math
from typing import Any

import pytest
import torch

from lmol.errors import StateError
from lmol.runs.result_folder import ResultFolder
from lmol.runs.state_folder import states_of
from lmol.training import state_files
from lmol.training.state_files import TENSORS, VALUES, read_state, write_state
from lmol.training.states import StateFolder, read_training_state

STATE: dict[str, Any] = {
    "weights": {"a.b": torch.arange(3.0), "same": torch.ones(2, dtype=torch.bfloat16)},
    "list": [1, None, True, "text", {"inner": torch.zeros(())}],
    "not finite": [math.inf, -math.inf],
}


def test_nested_values_come_back(tmp_path):
    write_state(tmp_path / "state", STATE)
    found = read_state(tmp_path / "state")
    assert torch.equal(found["weights"]["a.b"], STATE["weights"]["a.b"])
    assert found["weights"]["same"].dtype == torch.bfloat16
    assert found["list"][:4] == STATE["list"][:4]
    assert torch.equal(found["list"][4]["inner"], torch.zeros(()))
    assert found["not finite"] == STATE["not finite"]


@pytest.mark.parametrize("name", [VALUES, TENSORS])
def test_every_flipped_byte_is_found(tmp_path, name):
    write_state(tmp_path / "state", STATE)
    file = tmp_path / "state" / name
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(StateError, match=f"{name} does not have its checksum"):
            read_state(tmp_path / "state")
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        with pytest.raises(StateError, match="damaged training state"):
            read_state(tmp_path / "state")


def test_a_state_refers_only_to_its_own_tensors(tmp_path):
    write_state(tmp_path / "state", {"value": "tensor:elsewhere"})
    with pytest.raises(StateError, match="elsewhere"):
        read_state(tmp_path / "state")


def test_the_newest_two_are_kept(tmp_path):
    folder = StateFolder(ResultFolder(tmp_path))
    for step in (5, 10, 10):
        folder.save({"step": step}, step)
    assert [path.name for path in states_of(tmp_path)] == ["000002-step-10", "000003-step-10"]
    assert read_training_state(states_of(tmp_path)[-1])["step"] == 10


def test_a_full_disk_leaves_the_states_before(tmp_path, monkeypatch):
    folder = StateFolder(ResultFolder(tmp_path))
    folder.save({"step": 5}, 5)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_files, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        folder.save({"step": 10}, 10)
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["000001-step-5"]
    assert json.loads((states_of(tmp_path)[0] / VALUES).read_text())["step"] == 5
