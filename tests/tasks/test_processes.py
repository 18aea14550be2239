"""A run of several processes, as torchrun starts them, is the run that one process would make."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from safetensors.torch import load_file

from experiments.bench.results import differing
from tests.forked import Forked

SMALL = (
    "data.source.num_images=60",
    "data.schedule.num_pairs=96",
    "train.validate_every=0.5",
    "train.log_every=1",
    "model.lora.dropout=0",
    "audit.interval=2",
    "threads=1",
    "tracking=off",
)


def read(path):
    return json.loads(Path(path).read_text())


TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "-m", "lmol.run")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def two_processes(*settings: str) -> "subprocess.CompletedProcess[str]":
    known = () if settings[0].startswith("resume=") else SMALL
    return subprocess.run(
        [*TORCHRUN, *known, *settings], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def begin_two(*settings):
    return subprocess.Popen(
        [*TORCHRUN, *SMALL, *settings], env=ENVIRONMENT, stdout=subprocess.DEVNULL
    )


def records(folder):
    return pd.read_json(Path(folder, "metrics.jsonl"), lines=True)


def forked_processes(*settings):
    """Run two processes with the environment that torchrun gives them; return their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    numbers = [{"RANK": rank, "LOCAL_RANK": rank, "MASTER_PORT": port} for rank in ("0", "1")]
    both = [Forked(Path.cwd(), *SMALL, *settings, environment=shared | one) for one in numbers]
    return [one.wait() for one in both]


def torchrun_processes(*settings):
    """Run two processes with torchrun; return its exit code."""
    ended = two_processes(*settings)
    print(ended.stdout, ended.stderr)
    return [ended.returncode]


@pytest.mark.parametrize(
    "way", [forked_processes, pytest.param(torchrun_processes, marks=pytest.mark.slow)]
)
def test_two_processes_are_one_with_twice_the_batch(command, way):
    codes = way("train.batch_pairs=4", "train.accumulation=2", "hydra.run.dir=two")
    assert not any(codes)
    twice = ("train.batch_pairs=8", "train.accumulation=2")
    assert command(*SMALL, *twice, "hydra.run.dir=one") == (0, "")
    pd.testing.assert_frame_equal(records("two"), records("one"), rtol=1e-4, atol=1e-5)
    one, two = (
        load_file(f"{run}/checkpoints/last/adapter_model.safetensors") for run in ("one", "two")
    )
    for name, tensor in one.items():
        assert (two[name] - tensor).abs().max() < 1e-4, name
    files = [{str(p.relative_to(run)) for p in Path(run).rglob("*")} for run in ("one", "two")]
    assert files[0] == files[1]
    assert read("two/manifest.json")["num_processes"] == 2
    assert [path.name for path in Path("outputs").iterdir()] == ["data"]  # of the other process


@pytest.mark.slow
def test_processes_go_on_with_a_sweep_and_tell_how_it_ended(command):
    settings = ("train.batch_pairs=8", "hydra.sweep.dir=sweep")
    assert command("-m", "fold=1", *SMALL, *settings) == (0, "")
    metrics, manifest = read("sweep/fold_1/metrics.json"), Path("sweep/fold_1/manifest.json")
    one, two = '"num_processes": 1', '"num_processes": 2'
    manifest.write_text(manifest.read_text().replace(one, two))
    # Both leave fold 1 as it is. Fold 9 of 5 fails in both: neither waits for the other, and the
    # one that writes is not ended before it has written.
    ended = two_processes("-m", "fold=1,9", *settings)
    assert ended.returncode != 0
    assert "fold_1: finished earlier" in ended.stdout
    assert "fold.index: got 9" in ended.stderr
    assert read("sweep/fold_1/metrics.json") == metrics
    assert [(job["fold"], job["status"]) for job in read("sweep/sweep.json")["jobs"]] == [
        (1, "done"),
        (9, "failed"),
    ]
    # One process takes half the batch: that would be another experiment.
    code, errors = command("-m", "fold=1", *SMALL, *settings)
    assert code == 2
    assert "a finished job of 2 process(es)" in errors


@pytest.mark.slow
def test_a_run_that_health_stops_says_so(tmp_path, monkeypatch):
    """All processes stop at once, which torchrun answers by ending those that still write."""
    monkeypatch.chdir(tmp_path)
    rates = ("optim.lr_lora=1000", "optim.lr_projector=1000")
    ended = two_processes(*rates, "train.batch_pairs=8", "hydra.run.dir=run")
    assert ended.returncode != 0
    manifest = read("run/manifest.json")
    assert (manifest["status"], bool(manifest["end"])) == ("failed: health", True)
    assert manifest["health"]["findings"][0]["rule"] == "large_updates"


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed_are_continued_to_the_same_bits(tmp_path, monkeypatch):
    """The other process does not wait for the killed one, and both begin again where they were."""
    monkeypatch.chdir(tmp_path)
    settings = (
        "train.batch_pairs=4", "train.accumulation=2", "train.epochs=2", "train.save_every=1",
        "model.lora.dropout=0.1", "train.log_every=4",
    )  # fmt: skip
    assert two_processes(*settings, "hydra.run.dir=whole").returncode == 0
    with begin_two(*settings, "hydra.run.dir=killed") as torchrun:
        while not list(Path("killed/state").glob("*-step-5")):
            time.sleep(0.05)
        workers = psutil.Process(torchrun.pid).children()
        workers[1].kill()
        assert torchrun.wait(timeout=60) != 0
    assert read("killed/manifest.json")["status"] in ("failed", "interrupted")  # torchrun ends it
    assert two_processes("resume=killed").returncode == 0
    assert differing(Path("whole"), Path("killed")) == []
