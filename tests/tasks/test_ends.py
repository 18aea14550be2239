"""Endings of a command: after a signal, or when the disk is full."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from tests.forked import Forked
from tests.tasks.conftest import SMALL

LONG = (
    "data.source.num_images=60",
    "data.schedule.num_pairs=384",
    "train.batch_pairs=8",
    "train.epochs=100",
    "train.validate_every=0.005",
    "train.log_every=4",
    "threads=1",
    "tracking=off",
)


def begin(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "lmol.run", *LONG, *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def wait_for(condition, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.1)


def manifest(run: Path) -> dict[str, object]:
    return dict(json.loads((run / "manifest.json").read_text()))


def status(run: Path) -> object:
    try:
        return manifest(run)["status"]
    except (OSError, ValueError):
        return None


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 138)]
)
def test_a_signal_ends_a_training_which_keeps_its_last_weights(tmp_path, number, code):
    training = Forked(tmp_path, *LONG, "audit=off", "hydra.run.dir=run")
    wait_for(lambda: (tmp_path / "run/checkpoints/last/meta.json").is_file())
    training.kill(number)
    assert training.wait() == code
    errors = training.log
    assert "Traceback" not in errors
    facts = manifest(tmp_path / "run")
    assert facts["status"] == "interrupted"
    step = json.loads((tmp_path / "run/checkpoints/last/meta.json").read_text())["step"]
    assert step > 0
    assert f"saved: the state after step {step}. It goes on with" in errors
    assert errors.rstrip().endswith("python -m lmol.run resume=run")
    assert list((tmp_path / "run/state").glob(f"*-step-{step}"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_processes_of_a_sweep_end_with_the_command(tmp_path, monkeypatch, number):
    monkeypatch.chdir(tmp_path)
    jobs = [tmp_path / "sweep/fold_1", tmp_path / "sweep/fold_2"]
    sweep = ("-m", "+launcher=joblib", "fold=1,2", "hydra.sweep.dir=sweep")
    with begin(*sweep) as command:
        wait_for(lambda: all((job / "checkpoints/last/meta.json").is_file() for job in jobs))
        workers = psutil.Process(command.pid).children(recursive=True)
        command.send_signal(number)
        command.communicate(timeout=90)
    assert command.returncode == (143 if number == signal.SIGTERM else -number)
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []
    assert [status(job) for job in jobs] == ["interrupted", "interrupted"]


@pytest.mark.slow
def test_jobs_that_another_host_seems_to_run_are_no_success(command, tmp_path):
    sweep = (*SMALL, "-m", "fold=1", "hydra.sweep.dir=sweep")
    assert command(*sweep) == (0, "")
    facts = manifest(Path("sweep/fold_1"))
    Path("sweep/fold_1/manifest.json").write_text(
        json.dumps(facts | {"status": "running", "host": "elsewhere"})
    )
    with FileLock("sweep/fold_1/.running.lock"):
        code, errors = command(*sweep)
    assert code == 3
    assert "1 of 1 jobs are not done: fold_1 (running)" in errors


@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="a small disk needs root"
)
@pytest.mark.parametrize(
    ("kilobytes", "filler", "found"),
    [
        (600, "true", "too little space"),
        (40_000, "until grep -qs Trained {run}/run.log; do sleep .1; done; "
         "dd if=/dev/zero of={disk}/filler bs=4k status=none", "a full disk"),
    ],
)  # fmt: skip
def test_a_small_disk_is_one_line_and_the_manifest_knows_it(tmp_path, kilobytes, filler, found):
    """Too small from the beginning, for what a training needs, or filled while it trains.

    When the filled disk has room again, the run is continued.
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    command = [sys.executable, "-m", "lmol.run", *SMALL, f"hydra.run.dir={disk}/run"]
    program = (
        f"mount -t tmpfs -o size={kilobytes}k tmpfs {disk} || exit 77; "
        f"({filler.format(run=disk / 'run', disk=disk)}) 2>/dev/null & "
        f"{' '.join(command)}; code=$?; cp {disk}/run/manifest.json {tmp_path}; "
        f"rm -f {disk}/filler; "
        f"{sys.executable} -m lmol.run resume={disk}/run > resumed.txt; "
        f"cp {disk}/run/manifest.json {tmp_path}/resumed.json; exit $code"
    )
    ended = subprocess.run(
        ["unshare", "-m", "bash", "-c", program], cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ended.returncode in (1, 77) and "permitted" in ended.stderr:
        pytest.skip("no mount may be made here")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert f"got {found}" in ended.stderr
    assert "MB for" in ended.stderr
    assert str(disk) in ended.stderr
    facts = json.loads((tmp_path / "manifest.json").read_text())
    assert facts["status"] == "failed"
    assert found in facts["error"]
    resumed = json.loads((tmp_path / "resumed.json").read_text())
    assert resumed["status"] == ("done" if found == "a full disk" else "failed")
