"""A sweep's folder: its lock is not waited for without an end, its record is read whole or not."""

import pytest

from lmol.errors import RunFolderError
from lmol.runs import sweep_folder


def test_a_lock_that_is_held_without_an_end_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_folder, "LOCK_PATIENCE", 0.2)
    with (
        sweep_folder.locked(tmp_path),
        pytest.raises(RunFolderError, match=r"\.lock: got a lock that another process has held"),
        sweep_folder.locked(tmp_path),
    ):
        pass
    with sweep_folder.locked(tmp_path):
        pass  # both are free again


@pytest.mark.parametrize("text", ["[", "name: a\n", "- 1\n", "\0", "{}"])
def test_a_record_that_cannot_be_read_is_reported(tmp_path, text):
    assert sweep_folder.SweepRecord.read(tmp_path) is None
    (tmp_path / "sweep.yaml").write_text(text)
    with pytest.raises(RunFolderError, match=r"sweep\.yaml: got a file that cannot be read"):
        sweep_folder.SweepRecord.read(tmp_path)
