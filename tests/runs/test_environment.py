"""What a run ran on."""

import subprocess
from pathlib import Path

from lmol.runs.environment import _git, describe_environment


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def test_commit_and_dirt_of_a_checkout(tmp_path: Path) -> None:
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "first")
    commit = _git("rev-parse", "HEAD", source=tmp_path)
    assert commit is not None
    assert len(commit) == 40
    assert _git("status", "--porcelain", source=tmp_path) == ""
    (tmp_path / "new.py").touch()
    assert _git("status", "--porcelain", source=tmp_path) == "?? new.py"


def test_outside_a_checkout_there_is_no_commit(tmp_path: Path) -> None:
    assert _git("rev-parse", "HEAD", source=tmp_path) is None


def test_absent_packages_have_no_version() -> None:
    facts = describe_environment()
    assert set(facts) == {"git_commit", "git_dirty", "versions", "python", "platform"}
    assert facts["versions"]["hydra-core"].startswith("1.")
