"""A run folder is claimed once, records how the run ended, and holds no half-written file."""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from lmol.config import Config, as_dict, load_config, signature
from lmol.errors import DataError, RunFolderError
from lmol.runs.formats import FORMAT
from lmol.runs.run_folder import RunFolder


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config("task=prepare", "fold=2")


def manifest(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((path / "manifest.json").read_text())
    return facts


def test_the_manifest_says_what_ran(tmp_path: Path, config: Config) -> None:
    with RunFolder.claim(tmp_path / "run", config) as run:
        assert manifest(run.path)["status"] == "running"
        run.note(data_hash="abc")
    facts = manifest(run.path)
    assert (facts["status"], facts["error"], facts["seed"]) == ("done", None, 44)
    assert facts["signature"] == signature(config)
    assert facts["data_hash"] == "abc"
    assert facts["peak_memory_bytes"] > 10e6
    assert facts["versions"]["numpy"] == np.__version__
    assert facts["start"] <= facts["end"]


def test_the_written_configuration_is_the_one_that_ran(tmp_path: Path, config: Config) -> None:
    RunFolder.claim(tmp_path, config)
    stored = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert stored == {"format": FORMAT} | as_dict(config)


def test_a_run_folder_that_exists_is_refused(tmp_path: Path, config: Config) -> None:
    RunFolder.claim(tmp_path, config)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RunFolderError, match="a run folder that exists"):
        RunFolder.claim(tmp_path, config)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_with_other_files_is_refused(tmp_path: Path, config: Config) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunFolderError, match="never overwritten"):
        RunFolder.claim(tmp_path, config)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def fail(path: Path, config: Config, error: BaseException) -> None:
    with RunFolder.claim(path, config):
        raise error


def test_a_mistake_is_in_manifest_and_log(tmp_path: Path, config: Config) -> None:
    mistake = DataError("labels.txt:3", got="x", expected="a number", remedy="mend it")
    with pytest.raises(DataError):
        fail(tmp_path, config, mistake)
    assert manifest(tmp_path)["status"] == "failed"
    assert "labels.txt:3: got x" in manifest(tmp_path)["error"]
    log = (tmp_path / "run.log").read_text()
    assert "labels.txt:3: got x" in log
    assert "Traceback" not in log


def test_a_fault_leaves_its_traceback_in_the_log(tmp_path: Path, config: Config) -> None:
    with pytest.raises(ZeroDivisionError):
        fail(tmp_path, config, ZeroDivisionError("oops"))
    assert manifest(tmp_path)["error"] == "ZeroDivisionError: oops"
    assert "Traceback" in (tmp_path / "run.log").read_text()


def test_an_interrupted_run_says_so(tmp_path: Path, config: Config) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path, config, KeyboardInterrupt())
    assert manifest(tmp_path)["error"] == "interrupted"


def test_log_lines_go_to_file_and_console_while_open(
    tmp_path: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logging.getLogger("lmol.somewhere")
    with RunFolder.claim(tmp_path, config):
        log.info("inside")
    log.info("outside")
    assert "inside\n" in capsys.readouterr().out
    text = (tmp_path / "run.log").read_text()
    assert "INFO lmol.somewhere: inside" in text
    assert "outside" not in text


def test_json_knows_no_nan_and_no_numpy(tmp_path: Path, config: Config) -> None:
    values = {"a": float("nan"), "b": np.float64("inf"), "c": np.int64(3), "d": np.ones(2)}
    with RunFolder.claim(tmp_path, config) as run:
        run.write_json("metrics.json", values)
        run.append_metrics({"step": 1} | values)
        run.append_metrics({"step": 2})
    plain = {"a": None, "b": None, "c": 3, "d": [1.0, 1.0]}
    assert json.loads((tmp_path / "metrics.json").read_text()) == plain
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 1} | plain, {"step": 2}]


def test_a_table_comes_back_as_it_was(tmp_path: Path, config: Config) -> None:
    table = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "score": [1 / 3, 2.0]})
    with RunFolder.claim(tmp_path, config) as run:
        path = run.write_table("pairs/table.csv", table)
    pd.testing.assert_frame_equal(pd.read_csv(path), table, check_exact=True)


KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from lmol.system.files import replacing, write_text
path = Path(sys.argv[1])
write_text(path, "whole")
with replacing(path) as temporary:
    temporary.write_text("ha")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_while_writing_leaves_the_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    ended = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "whole"


def test_a_failed_write_leaves_nothing(tmp_path: Path, config: Config) -> None:
    with RunFolder.claim(tmp_path, config) as run, pytest.raises(TypeError):
        run.write_json("metrics.json", {"a": object()})
    names = set(os.listdir(tmp_path))  # noqa: PTH208
    assert names == {"config.yaml", "manifest.json", "run.log"}
