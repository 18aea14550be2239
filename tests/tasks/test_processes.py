"""A run of several processes, as torchrun starts them, is the run that one process would make."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
from safetensors.torch import load_file

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


def two_processes(*settings):
    torchrun = ["torch.distributed.run", "--nproc_per_node=2"]
    command = [sys.executable, "-m", *torchrun, "-m", "lmol.run", *SMALL, *settings]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def records(folder):
    return pd.read_json(Path(folder, "metrics.jsonl"), lines=True)


def test_two_processes_are_one_with_twice_the_batch(command):
    two_processes("train.batch_pairs=4", "train.accumulation=2", "hydra.run.dir=two")
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


def test_processes_leave_the_same_jobs_of_a_sweep_alone(command):
    settings = ("train.batch_pairs=8", "hydra.sweep.dir=sweep")
    assert command("-m", "fold=1", *SMALL, *settings) == (0, "")
    metrics = read("sweep/fold_1/metrics.json")
    shown = two_processes("-m", "fold=1,2", *settings)
    assert shown.count("fold_1: finished before") == 1
    assert read("sweep/fold_1/metrics.json") == metrics
    assert read("sweep/fold_2/manifest.json")["status"] == "done"
    assert [job["fold"] for job in read("sweep/sweep.json")["jobs"]] == [1, 2]
