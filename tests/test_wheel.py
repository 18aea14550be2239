"""Installed as a wheel, the command runs from any folder without the checkout."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.tasks.conftest import SMALL

ROOT = Path(__file__).parents[1]
SOURCES = ("lmol", "conf", "experiments", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.mark.parametrize(
    "command", [["-m", "lmol.run", "--cfg", "job"], ["-c", "from lmol import __version__"]]
)
def test_a_folder_of_that_name_is_not_taken_for_the_package(tmp_path, command):
    """The folder above a clone looks like this. Needs the environment that make sets up."""
    (tmp_path / "lmol").mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ended = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True
    )
    assert ended.returncode == 0, ended.stderr.decode()


@pytest.fixture
def installed(tmp_path):
    """A folder that holds the packages of the wheel."""
    checkout, wheels, site = (tmp_path / name for name in ("checkout", "wheels", "site"))
    checkout.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, checkout / name)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*build, "--wheel-dir", str(wheels), str(checkout)], check=True)
    shutil.rmtree(checkout)
    [wheel] = wheels.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    return site


@pytest.mark.slow
def test_the_wheel_runs_the_main_job_and_its_recipes(installed, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    lmol = [sys.executable, "-m", "lmol.run"]
    shown = subprocess.run(
        [*lmol, "+recipe=scut_llava", "--cfg", "job"],
        **{"cwd": folder, "env": environment, "capture_output": True, "check": True},
    )
    assert b"llava-hf/llava-1.5-7b-hf" in shown.stdout
    ended = subprocess.run(
        [*lmol, *SMALL, "hydra.run.dir=run"], cwd=folder, env=environment, capture_output=True
    )
    assert ended.returncode == 0, ended.stderr.decode()
    manifest = json.loads((folder / "run" / "manifest.json").read_text())
    assert manifest["status"] == "done"
    assert manifest["git_commit"] is None  # it did not run from the checkout
    report = [*lmol, "task=report", "runs=run", "report.page=page.html"]
    subprocess.run(report, cwd=folder, env=environment, capture_output=True, check=True)
    assert (folder / "page.html").read_text().startswith("<!doctype html>")
