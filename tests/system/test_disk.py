"""A disk on which nothing can be written is one error with folder, free space and remedy."""

import errno
import shutil
from pathlib import Path

import pytest
from safetensors import SafetensorError

from lmol.errors import DiskError
from lmol.system.disk import disk_error, require_space

KINDS = {
    errno.ENOSPC: "a full disk",
    errno.EDQUOT: "a used-up disk quota",
    errno.EFBIG: "a limit on the size of files",
    errno.EROFS: "a read-only disk",
}


@pytest.mark.parametrize("number", KINDS)
def test_each_kind_names_the_folder_that_is_there(number, tmp_path):
    error = OSError(number, "text", str(tmp_path / "not/there/file.csv"))
    found = disk_error(error, Path.cwd())
    assert isinstance(found, DiskError)
    assert found.where == str(tmp_path)
    assert found.got.startswith(f"{KINDS[number]} (")


def test_a_library_that_gives_the_number_in_its_text_is_understood(tmp_path):
    error = SafetensorError("Error: No space left on device (os error 28)")
    found = disk_error(error, tmp_path)
    assert found is not None
    assert found.got.startswith("a full disk")


def test_what_caused_an_error_counts(tmp_path):
    error = RuntimeError("could not save")
    error.__cause__ = OSError(errno.ENOSPC, "text")
    assert isinstance(disk_error(error, tmp_path), DiskError)


def test_too_little_space_is_reported_beforehand_with_what_is_needed(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(DiskError, match=r"too little space .* expected about .* for a checkpoint"):
        require_space(tmp_path, 2 * free, "a checkpoint")
    expected = require_space(tmp_path, 3_000_000, "a checkpoint")
    found = disk_error(OSError(errno.ENOSPC, "text"), tmp_path, expected)
    assert found is not None
    assert found.expected == "about 3.0 MB for a checkpoint"


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "text"), ValueError("text")])
def test_other_errors_are_left_alone(error, tmp_path):
    assert disk_error(error, tmp_path) is None
