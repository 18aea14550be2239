"""Hydra's own options beside ours: each works, or is refused by its name."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmol.config.resolvers import slug
from lmol.run import main

LONG = "x" * 300
SMALL = ("task=prepare", "data.source.num_images=40", "data.schedule.num_pairs=96")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder; Hydra's logging, which it sets for the whole process, is taken back."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    yield
    for handler in {*root.handlers} - {*handlers}:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs the command in this process; returns exit code, standard output and error."""

    def run(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["lmol", *arguments])
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        return code, *capsys.readouterr()

    return run


def manifest(folder: str) -> dict[str, object]:
    return dict(json.loads(Path(folder, "manifest.json").read_text()))


@pytest.mark.parametrize(
    "options",
    [
        ["hydra.output_subdir=.hydra"],
        ["hydra/job_logging=default"],
        ["hydra/job_logging=default", "hydra/hydra_logging=default", "hydra.output_subdir=own/x"],
        ["hydra.verbose=true"],
    ],
)
def test_a_run_takes_what_hydra_writes_beside_it(command, options: list[str]) -> None:
    code, out, err = command(*SMALL, "hydra.run.dir=run", *options)
    assert (code, err) == (0, "")
    assert manifest("run")["status"] == "done"
    assert out.count("Run folder: ") == 1
    lines = Path("run/run.log").read_text().splitlines()
    assert len(lines) == len(set(lines)), "Hydra's log is another file"


def test_a_sweep_takes_it_too_and_moves_nothing_aside(command) -> None:
    options = ["hydra.output_subdir=.hydra", "hydra/job_logging=default", "hydra.sweep.dir=sweep"]
    code, out, _ = command("-m", *SMALL, "fold=1,2", *options)
    assert code == 0
    assert "moved to" not in out
    assert all(Path(f"sweep/fold_{fold}/.hydra/config.yaml").exists() for fold in (1, 2))


def test_an_older_run_s_folder_is_refused_beside_it(command) -> None:
    arguments = [*SMALL, "hydra.run.dir=run", "hydra.output_subdir=.hydra"]
    assert command(*arguments)[0] == 0
    before = Path("run/manifest.json").read_bytes()
    code, _, err = command(*arguments)
    assert code == 2
    assert "a run folder that exists" in err
    assert Path("run/manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("hydra.job.chdir=true", "relative paths are read from the folder of the command"),
        ("data.schedule=uniform", "data/schedule=uniform"),
        ("name=${oc.env:LMOL_NOPE}", "name: got ${oc.env:LMOL_NOPE}"),
        ("data.theta=${oc.env:LMOL_NOPE}", "data.theta: got ${oc.env:LMOL_NOPE}"),
        ("hydra.run.dir=${oc.env:LMOL_NOPE}", "hydra.run.dir: got an interpolation"),
        ("hydra.run.dir=${nope}", "hydra.run.dir: got an interpolation"),
        (f"hydra.run.dir={LONG}", "hydra.run.dir: got a name of 300 bytes"),
        ("--config-path=mine", "--config-dir=mine"),
        ("--config-name=nope", "--config-name: got 'nope'"),
    ],
)
def test_what_does_not_work_is_reported_by_its_name(command, given: str, message: str) -> None:
    code, _, err = command(*SMALL, given)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert "Warning" not in err
    assert list(Path().iterdir()) == []


def test_long_names_and_swept_texts_are_cut(command) -> None:
    code, _, err = command(*SMALL, f"name={LONG}", "-m", f"data.question='{LONG}1','{LONG}2'")
    assert (code, err) == (0, "")
    [sweep] = Path("outputs/sweeps").iterdir()
    jobs = [folder.name for folder in sweep.glob("fold_1*")]
    assert len(jobs) == 2
    assert all(len(name) < 120 for name in (sweep.name, *jobs))


def test_a_name_that_no_file_system_takes_is_reported(command) -> None:
    code, _, err = command(*SMALL, "-m", "fold=1,2", f"hydra.sweep.subdir={LONG}")
    assert code == 2
    assert "hydra.sweep.subdir=" in err
    assert "Traceback" not in err


def test_two_long_values_with_one_beginning_have_two_slugs() -> None:
    assert slug(LONG + "1") != slug(LONG + "2")
    assert slug("5e-05") == "5e-05"
    assert len(slug("ä" * 200).encode()) < 80


def test_a_primary_config_of_ones_own_builds_upon_ours(command) -> None:
    Path("mine").mkdir()
    Path("mine/own.yaml").write_text("defaults: [config, _self_]\nname: own\nseed: 7\n")
    own = ["--config-dir=mine", "--config-name=own", "hydra.run.dir=run"]
    code, _, err = command(*SMALL, *own, "+recipe=default")
    assert (code, err) == (0, "")
    assert manifest("run")["seed"] == 7 + 1


@pytest.mark.parametrize("multirun", [[], ["-m"]])
def test_a_primary_config_that_lacks_ours_is_reported(command, multirun: list[str]) -> None:
    Path("mine").mkdir()
    Path("mine/bare.yaml").write_text("defaults: [{task: prepare}, {data: synthetic}, _self_]\n")
    code, _, err = command(*multirun, "--config-dir=mine", "--config-name=bare")
    assert code == 2
    assert "defaults: [config, _self_]" in err
    assert "Traceback" not in err
