"""A run folder reads and writes nothing outside itself: links that lead out, pipes, devices."""

import os
import shutil
from pathlib import Path

import pytest

from lmol.config import load_config
from lmol.errors import CheckpointError, RunFolderError, StateError
from lmol.inference.loading import load_comparer
from lmol.model.checkpoint import read_meta
from lmol.report.runs import ReportedRun
from lmol.runs.past_runs import PastRun
from lmol.runs.result_folder import ResultFolder
from lmol.runs.unfinished import continue_run, run_to_resume
from lmol.workflow.folds import images_of

CHECKPOINT = ("adapter_model.safetensors", "meta.json", "references.safetensors", "extra.txt")


def link(file: Path, target: str | Path = "/etc/passwd") -> Path:
    file.unlink(missing_ok=True)
    file.symlink_to(target)
    return file


@pytest.mark.parametrize("name", CHECKPOINT)
def test_a_link_in_a_checkpoint_is_refused(foreign, name):
    link(foreign / "checkpoints/best" / name)
    with pytest.raises(CheckpointError, match=f"{name} is a link out of the folder"):
        load_comparer(foreign)


def test_a_link_to_the_same_file_elsewhere_is_refused_too(foreign, tmp_path):
    file = foreign / "checkpoints/best/adapter_model.safetensors"
    link(file, shutil.copy(file, tmp_path))
    with pytest.raises(CheckpointError, match="a link out of the folder"):
        read_meta(file.parent)


def test_a_pipe_is_refused_and_not_waited_for(foreign):
    os.mkfifo(foreign / "checkpoints/best/pipe")
    with pytest.raises(CheckpointError, match="no file"):
        load_comparer(foreign)
    (foreign / "config.yaml").unlink()
    os.mkfifo(foreign / "config.yaml")
    with pytest.raises(RunFolderError, match="is no file"):
        PastRun.read(foreign).config()


def test_a_checkpoint_elsewhere_is_refused(foreign, tmp_path):
    shutil.move(foreign / "checkpoints/best", tmp_path / "elsewhere")
    (foreign / "checkpoints/best").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunFolderError, match=r"a link to .*elsewhere"):
        load_comparer(foreign)


@pytest.mark.parametrize("name", ["config.yaml", "images.csv", "manifest.json"])
def test_the_files_of_a_run_are_in_its_folder(foreign, tmp_path, name):
    past = PastRun.read(foreign)
    link(foreign / name, shutil.copy(foreign / name, tmp_path))
    with pytest.raises(RunFolderError, match="link that leads out"):
        {"config.yaml": past.config, "images.csv": lambda: images_of(past)}.get(
            name, lambda: PastRun.read(foreign)
        )()


def test_links_that_go_round_are_refused(foreign):
    link(foreign / "config.yaml", "config.yaml")
    with pytest.raises(RunFolderError, match=r"no readable config\.yaml"):
        PastRun.read(foreign).config()


def test_a_report_reads_no_file_by_a_link(foreign, tmp_path):
    for name in ("manifest.json", "config.yaml", "metrics.json", "images.csv", "metrics.jsonl"):
        link(foreign / name, shutil.copy(foreign / name, tmp_path))
    run = ReportedRun.read(foreign)
    assert (run.manifest, run.config, run.metrics, run.records) == ({}, {}, {}, [])
    assert run.table("images.csv", ["image"]) is None


def test_a_link_inside_the_run_and_a_link_to_the_run_are_fine(foreign, tmp_path):
    (foreign / "kept.json").write_bytes((foreign / "manifest.json").read_bytes())
    link(foreign / "manifest.json", "kept.json")
    (tmp_path / "short").symlink_to(foreign.absolute())
    assert PastRun.read(tmp_path / "short").config()["name"] == "default"
    assert ReportedRun.read(tmp_path / "short").metrics
    assert read_meta(tmp_path / "short/checkpoints/best")


@pytest.fixture(scope="module")
def config():
    return load_config()


@pytest.mark.parametrize("name", ["run.log", ".lock", ".running.lock", "plots"])
def test_a_run_with_a_link_out_of_it_is_not_continued(killed, tmp_path, config, name):
    """Its log would be appended to, its locks would be opened for writing."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    link(killed / name, victim)
    with pytest.raises(RunFolderError, match=f"got {name}, a link that leads out"):
        continue_run(*run_to_resume(str(killed)), config)
    assert victim.read_text() == "precious"


def test_a_log_of_wandb_may_be_a_link_as_its_killed_process_leaves_it(killed, config):
    logs = killed / "wandb/offline-run-20261129_153737-b2db72e6/logs"
    logs.mkdir(parents=True)
    link(logs / "debug-core.log")
    with pytest.raises(RunFolderError) as caught:  # a configuration of another run
        continue_run(*run_to_resume(str(killed)), config)
    assert "debug-core.log" not in str(caught.value)


def test_the_command_refuses_it_in_a_line(command, killed):
    link(killed / "run.log")
    code, errors = command(f"resume={killed}")
    assert code == 2
    assert "got run.log, a link that leads out" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("name", ["../victim", "{}/victim", "link"])
def test_a_state_cuts_only_files_of_its_run(killed, tmp_path, name):
    victim = killed.parent / "victim"
    victim.write_text("precious")
    link(killed / "link", victim.absolute())
    sizes = {name.format(victim.parent.absolute()): 0}
    with pytest.raises(StateError, match="elsewhere"):
        ResultFolder(killed.absolute()).load_state_dict(sizes)
    assert victim.read_text() == "precious"


def test_a_sweep_record_is_a_file_of_the_sweep(command, foreign):
    job = foreign.parent / "sweep/fold_1"
    shutil.copytree(foreign, job)
    link(job.parent / "sweep.yaml")
    code, errors = command("task=report", f"runs={job.parent}", "hydra.run.dir=outputs/page")
    assert (code, errors) == (0, "")
