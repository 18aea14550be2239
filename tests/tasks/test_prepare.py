"""task=prepare writes and checks the pairs of all folds, and nothing where something is wrong."""

import json
import re
from math import comb
from pathlib import Path

import pandas as pd
import pytest

from tests.data.sources.scut_release import lists_of, write_release


def test_all_folds_are_written(command):
    small = ("data.source.num_images=60", "data.schedule.num_pairs=96")
    assert command("task=prepare", *small, "hydra.run.dir=run") == (0, "")
    names = sorted(path.name for path in Path("run/pairs").iterdir())
    assert names == sorted(
        [f"train_fold{k}_96.csv" for k in range(1, 6)]
        + [f"eval_fold{k}_{comb(12, 2)}.csv" for k in range(1, 6)]
    )
    held_out = [pd.read_csv(f"run/pairs/eval_fold{k}_66.csv") for k in range(1, 6)]
    images = [set(pairs["img1"]) | set(pairs["img2"]) for pairs in held_out]
    assert len(set.union(*images)) == sum(map(len, images)) == 60


def test_the_release_of_scut_is_prepared_with_its_own_folds(command, tmp_path):
    root = write_release(tmp_path / "scut")
    assert command("task=prepare", *scut(root), "hydra.run.dir=run") == (0, "")
    for fold in range(1, 6):
        listed = set(lists_of(root, fold)[1].read_text().split()[::2])
        pairs = pd.read_csv(f"run/pairs/eval_fold{fold}_28.csv")
        assert set(pairs["img1"]) | set(pairs["img2"]) == listed


def scut(root):
    small = ("data.schedule.num_pairs=30", "train.batch_pairs=8")
    return ("+recipe=scut_llava", f"data.root={root}", *small)


def missing_root(root):
    return "data.root: got .*nowhere, which is no folder", scut(root / "nowhere")


def malformed_line(root):
    labels = root / "train_test_files" / "All_labels.txt"
    labels.write_text(labels.read_text() + "CF99.jpg three\n")
    return r"All_labels\.txt:41: got score 'three'", scut(root)


def missing_image(root):
    (root / "Images" / "AF1.jpg").unlink()
    return r"AF1\.jpg: missing", scut(root)


def not_an_image(root):
    (root / "Images" / "AF1.jpg").write_text("text")
    return r"AF1\.jpg: not an image", scut(root)


def overlapping_lists(root):
    train, test = lists_of(root, 1)
    train.write_text(train.read_text() + test.read_text())
    return r"test_1\.txt: got 8 image\(s\) also in the training list", scut(root)


def incomplete_lists(root):
    train, _ = lists_of(root, 1)
    train.write_text("".join(train.read_text().splitlines(keepends=True)[2:]))
    return r"train_1\.txt: got 2 image\(s\) in neither list", scut(root)


def too_many_pairs(root):
    return r"at most \d+: these images .* Similar pairs and \d+ others", (
        *scut(root),
        "data.schedule.num_pairs=3000",
    )


def too_large_a_sample(root):
    return r"eval\.pairs: got 500; expected at least 7, .*at most the 28 pairs", (
        *scut(root),
        "eval.pairs=500",
    )


BAD = (
    missing_root,
    malformed_line,
    missing_image,
    not_an_image,
    overlapping_lists,
    incomplete_lists,
    too_many_pairs,
    too_large_a_sample,
)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("task", ["prepare", "train"])
def test_bad_data_end_in_one_message_before_anything_is_written(command, tmp_path, bad, task):
    message, settings = bad(write_release(tmp_path / "scut"))
    code, errors = command(f"task={task}", *settings, "hydra.run.dir=run")
    assert code == 2
    assert re.search(message, errors)
    assert "Traceback" not in errors
    written = {path.name for path in Path("run").iterdir()}
    assert written == {"config.yaml", "manifest.json", "run.log"}
    manifest = json.loads(Path("run/manifest.json").read_text())
    assert manifest["status"] == "failed"
    assert manifest["error"].removeprefix("DataError: ") in errors


MODEL_MISTAKES = {
    "model.backbone.weights=nobody/no-such-model": "could not be read",
    "model.lora.targets=nothing": "matches no linear layer",
    "data.answers.second=Firstly": "no separate word",
    "train.precision=fp16": "fp16 without a CUDA device",
    "model.backbone={attention: flash_attention_2, dtype: bf16}": "not available here",
}


@pytest.mark.parametrize("mistake", MODEL_MISTAKES)
def test_a_model_that_cannot_be_built_leaves_no_checkpoint(command, mistake):
    small = ("data.source.num_images=60", "data.schedule.num_pairs=96", "hydra.run.dir=run")
    code, errors = command(*small, mistake)
    assert code == 2
    assert MODEL_MISTAKES[mistake] in errors
    assert not Path("run/checkpoints").exists()
    assert not Path("run/metrics.json").exists()


NOT_TOGETHER = {
    "FSDP, plain data parallelism": ("ACCELERATE_USE_FSDP", "true", ()),
    "96 pairs; expected at least one step of 128 pairs": ("X", "", ("train.batch_pairs=64",)),
}


@pytest.mark.parametrize("expected", NOT_TOGETHER)
def test_what_several_processes_cannot_train_is_refused(command, monkeypatch, expected):
    name, value, settings = NOT_TOGETHER[expected]
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv(name, value)
    code, err = command("data.schedule.num_pairs=96", *settings, "hydra.run.dir=run")
    assert code == 2
    assert all(part in err for part in expected.split(", "))
    assert not Path("run").exists()


def test_several_processes_are_refused_rather_than_run_wrongly(command, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, errors = command("task=prepare", "hydra.run.dir=run")
    assert code == 2
    assert "torchrun: got 2 processes for task=prepare" in errors
    assert not Path("run").exists()
