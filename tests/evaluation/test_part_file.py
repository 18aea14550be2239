"""Answers survive a kill, and never meet those of another judge."""

import numpy as np
import pytest

from lmol.errors import RunFolderError
from lmol.evaluation.part_file import PartFile

SEAL = "ab" * 32
ANSWERS = np.arange(12, dtype=np.float32).reshape(4, 3) / 12


def write(folder, questions, seal=SEAL, process=0):
    with PartFile(folder, seal, process) as part:
        part.append(np.array(questions), ANSWERS[questions])


def read(folder, seal=SEAL):
    with PartFile(folder, seal) as part:
        return part.read(4)


def test_what_was_appended_is_read_by_question(tmp_path):
    write(tmp_path, [2])
    write(tmp_path, [0, 3], process=1)
    answered, answers = read(tmp_path)
    assert answered.tolist() == [True, False, True, True]
    np.testing.assert_array_equal(answers[answered], ANSWERS[[0, 2, 3]])


@pytest.mark.parametrize("lost", [1, 7, 19])
def test_a_half_written_record_is_dropped_and_written_over(tmp_path, lost):
    write(tmp_path, [1, 2])
    [path] = tmp_path.glob("*.part")
    path.write_bytes(path.read_bytes()[:-lost])
    assert read(tmp_path)[0].tolist() == [False, True, False, False]
    write(tmp_path, [3])
    answered, answers = read(tmp_path)
    assert answered.tolist() == [False, True, False, True]
    np.testing.assert_array_equal(answers[answered], ANSWERS[[1, 3]])


def test_a_file_without_its_header_begins_anew(tmp_path):
    write(tmp_path, [1])
    [path] = tmp_path.glob("*.part")
    path.write_bytes(path.read_bytes()[:5])
    assert not read(tmp_path)[0].any()
    write(tmp_path, [2])
    assert read(tmp_path)[0].tolist() == [False, False, True, False]


@pytest.mark.parametrize("other", ["cd" * 32, "ab" * 31 + "cd"])
def test_another_fingerprint_sees_nothing(tmp_path, other):
    write(tmp_path, [0, 1])
    assert not read(tmp_path, other)[0].any()


def test_removing_takes_the_files_of_all_processes_and_no_others(tmp_path):
    folder = tmp_path / "judged"
    write(folder, [0], process=1)
    write(folder, [1], seal="cd" * 32)
    with PartFile(folder, SEAL) as part:
        part.remove()
    assert not read(folder)[0].any()
    assert read(folder, "cd" * 32)[0].any()


def test_a_second_command_on_the_same_questions_is_refused(tmp_path):
    with (
        PartFile(tmp_path, SEAL),
        pytest.raises(RunFolderError, match="another command writes"),
        PartFile(tmp_path, SEAL),
    ):
        pass


def test_a_place_that_cannot_be_written_to_is_reported(tmp_path):
    (tmp_path / "judged").write_text("a file where the folder should be")
    with (
        pytest.raises(RunFolderError, match="cannot be written to"),
        PartFile(tmp_path / "judged", SEAL),
    ):
        pass
