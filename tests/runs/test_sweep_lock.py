"""Jobs of a sweep wait for each other for a moment, and not without an end."""

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
