"""The real command in this process, small: 60 faces, 96 pairs."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lmol.config.task_kinds import TRACKED
from lmol.run import main

Command = Callable[..., tuple[object, str]]

SMALL = (
    "data.source.num_images=60",
    "data.schedule.num_pairs=96",
    "train.batch_pairs=8",
    "train.validate_every=0.5",
    "train.log_every=4",
    "threads=1",
    "tracking=off",
)


def run_in(folder: Path, *arguments: str) -> Path:
    """Run `lmol` in a folder, which is returned; for fixtures that several tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HYDRA_FULL_ERROR", "1")
        patch.setattr(sys, "argv", ["lmol", *arguments])
        main()
    return folder


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a run was trained to its end, once for all tests."""
    return run_in(tmp_path_factory.mktemp("trained"), *SMALL, "hydra.run.dir=outputs/one/run")


@pytest.fixture
def trained(command: Command, trained_once: Path) -> Path:
    """A copy of that run, the latest finished one of the test's own folder."""
    shutil.copytree(trained_once / "outputs/one/run", "outputs/one/run")
    return Path("outputs/one/run")


@pytest.fixture(scope="session")
def swept_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a sweep over two folds was trained to its end, once for all tests."""
    folder = tmp_path_factory.mktemp("swept")
    return run_in(folder, "-m", "fold=1,2", *SMALL, "name=both", "audit=off")


@pytest.fixture
def sweep(command: Command, swept_once: Path) -> Path:
    """A copy of that sweep in the test's own folder."""
    [folder] = (swept_once / "outputs/sweeps").iterdir()
    return Path(shutil.copytree(folder, Path("outputs/sweeps") / folder.name))


def untracked(arguments: tuple[str, ...]) -> list[str]:
    """Return tracking=off for a task that would be tracked, unless the arguments set tracking."""
    tasks = [argument for argument in arguments if argument.startswith("task=")]
    given = any(argument.startswith("tracking") for argument in arguments)
    tracked = not tasks or tasks[-1].removeprefix("task=") in TRACKED
    return ["tracking=off"] if tracked and not given else []


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Runs `lmol` in an empty folder; returns the exit code and standard error.

    Untracked unless the test says how, as W&B takes a second to start.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def run(*arguments: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["lmol", *arguments, *untracked(arguments)])
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        return code, capsys.readouterr().err

    yield run
    pool = sys.modules.get("joblib.externals.loky.reusable_executor")
    if pool is not None and pool._executor is not None:
        # Its workers would wait, in this test's folder, for the next command.
        pool.get_reusable_executor().shutdown(wait=True)
