"""task=evaluate judges what a run held out, with the run's own settings, whole or not at all."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from safetensors.torch import load_file, save_file

from lmol.data.pairs import IntervalPairs
from lmol.evaluation.part_file import PartFile
from tests.tasks.conftest import SMALL

TIMES = ("train_seconds", "eval_seconds")


def read(path):
    return json.loads(Path(path).read_text())


def metrics(folder):
    return {k: v for k, v in read(f"{folder}/metrics.json").items() if k not in TIMES}


def test_an_evaluation_repeats_what_training_concluded(command, trained):
    assert command("task=evaluate", "threads=1", "hydra.run.dir=again") == (0, "")
    assert metrics("again") == metrics(trained)
    for name in ("predictions.csv", "ranking.csv", "diagnosis/subgroups.csv"):
        assert Path("again", name).read_bytes() == (trained / name).read_bytes()
    manifest = read("again/manifest.json")
    assert manifest["run"] == str(trained.absolute())
    assert not (trained / "judged").exists()


def test_neither_training_pairs_nor_validation_answers_are_made_again(
    command, trained, monkeypatch
):
    def refused(*arguments):
        raise AssertionError("only the held-out pairs are needed")

    monkeypatch.setattr(IntervalPairs, "training", refused)
    monkeypatch.setattr("lmol.workflow.past_fold.judge_validation", refused)
    assert command("task=evaluate", "threads=1", "hydra.run.dir=again") == (0, "")
    assert metrics("again") == metrics(trained)


def test_a_checkpoint_without_validation_answers_has_them_judged(command, trained):
    (trained / "checkpoints/best/validation.csv").unlink()
    assert command("task=evaluate", "threads=1", "hydra.run.dir=again") == (0, "")
    assert metrics("again") == metrics(trained)


def test_the_configuration_of_the_run_holds(command, tmp_path):
    other = (*SMALL, "data.theta=0.35", "model.lora.r=4", "fold=2", "eval.batch_pairs=7")
    assert command(*other, "hydra.run.dir=outputs/one/run") == (0, "")
    settings = ("task=evaluate", "run=outputs/one/run", "checkpoint=last", "eval.pairs=20")
    assert command(*settings, "hydra.run.dir=again") == (0, "")
    config = Path("again/config.yaml").read_text()
    for line in (
        "theta: 0.35",
        "r: 4",
        "index: 2",
        "batch_pairs: 7",
        "pairs: 20",
        "name: evaluate",
    ):
        assert line in config
    assert metrics("again")["pairs"] == 20


def test_a_run_from_before_a_setting_existed_takes_its_default(command, trained):
    config = yaml.safe_load((trained / "config.yaml").read_text())
    del config["export"], config["images"], config["eval"]["replicates"]
    (trained / "config.yaml").write_text(yaml.safe_dump(config))
    assert command("task=evaluate", "threads=1", "hydra.run.dir=again") == (0, "")
    assert metrics("again") == metrics(trained)


FIXED = ("optim.lr_lora=1e-3", "data.theta=0.1", "+recipe=scut_llava", "seed=3", "model=tiny")


@pytest.mark.parametrize("override", FIXED)
def test_what_a_finished_run_was_made_with_cannot_be_changed(command, trained, override):
    code, errors = command("task=evaluate", override, "hydra.run.dir=again")
    assert code == 2
    assert override.partition("=")[0].lstrip("+") in errors
    assert "which takes it from the finished run" in errors
    assert not Path("again").exists()


def test_generating_gives_the_same_answers(command, trained):
    settings = ("task=evaluate", "eval.decode=generate", "threads=1")
    assert command(*settings, "hydra.run.dir=again") == (0, "")
    found = metrics("again")
    assert 0 <= found.pop("invalid_answers") <= 1
    expected = metrics(trained)
    assert found.keys() == expected.keys()
    one, other = (pd.read_csv(f"{run}/predictions.csv") for run in ("again", trained))
    assert one["pred"].equals(other["pred"])
    pd.testing.assert_frame_equal(one, other, atol=1e-6)


def test_a_killed_evaluation_goes_on_where_it_stopped(command, trained, monkeypatch):
    append, asked = PartFile.append, []

    def counted(self, questions, probabilities):
        append(self, questions, probabilities)
        asked.append(len(questions))

    def killed(self, questions, probabilities):
        counted(self, questions, probabilities)
        if sum(asked) > 40:
            raise KeyboardInterrupt

    small = ("task=evaluate", "threads=1", "eval.batch_pairs=8")
    assert command(*small, "hydra.run.dir=uninterrupted") == (0, "")
    monkeypatch.setattr(PartFile, "append", killed)
    assert command(*small, "hydra.run.dir=killed")[0] == 130
    assert [path.suffix for path in (trained / "judged").glob("*.part")] == [".part"]
    done = sum(asked)
    asked.clear()
    monkeypatch.setattr(PartFile, "append", counted)
    assert command(*small, "hydra.run.dir=resumed") == (0, "")
    assert metrics("resumed") == metrics("uninterrupted")
    resumed, uninterrupted = (
        Path(f"{run}/predictions.csv") for run in ("resumed", "uninterrupted")
    )
    assert resumed.read_bytes() == uninterrupted.read_bytes()
    assert sum(asked) == 2 * 66 - done  # validation answers are in the checkpoint
    assert not (trained / "judged").exists()


def two_processes(*settings):
    shared = ["-m", "torch.distributed.run", "--nproc_per_node=2", "-m", "lmol.run", "tracking=off"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *shared, *settings], check=True, env=environment)


@pytest.mark.slow
def test_two_processes_are_one(command, trained):
    settings = ["task=evaluate", "threads=1", "eval.batch_pairs=8"]
    two_processes(*settings)
    [two] = Path("outputs").glob("2*/*")  # the second process leaves no folder
    assert command(*settings, "hydra.run.dir=one") == (0, "")
    assert metrics(two) == metrics("one")
    assert Path(two, "predictions.csv").read_bytes() == Path("one/predictions.csv").read_bytes()
    asked = re.findall(r"This process answers (\d+) of 132", Path(two, "run.log").read_text())
    assert 30 < int(asked[-1]) < 100  # its share of the questions of the held-out pairs
    assert not (trained / "judged").exists()


@pytest.mark.slow
def test_two_processes_generate_and_share_a_sweep(command, sweep):
    settings = ["task=evaluate", f"run={sweep}", "eval.decode=generate", "eval.pairs=11"]
    two_processes(*settings, "threads=1", "hydra.run.dir=two")
    assert command(*settings, "threads=1", "hydra.run.dir=one") == (0, "")
    for fold in ("fold_1", "fold_2"):
        assert metrics(f"two/{fold}") == metrics(f"one/{fold}")
    assert not list(Path("outputs").glob("2*"))


def test_all_folds_of_a_sweep_have_one_confusion_matrix(command, sweep):
    assert command("task=evaluate", f"run={sweep}", "hydra.run.dir=all") == (0, "")
    parts = [pd.read_csv(f"all/fold_{k}/confusion.csv", index_col=0) for k in (1, 2)]
    whole = pd.read_csv("all/confusion.csv", index_col=0)
    pd.testing.assert_frame_equal(whole, parts[0] + parts[1])
    found = read("all/metrics.json")
    assert (found["folds"], found["pairs"]) == (2, 132)
    accuracies = [read(f"all/fold_{k}/metrics.json")["accuracy"] for k in (1, 2)]
    assert found["over_folds"]["accuracy"]["mean"] == pytest.approx(sum(accuracies) / 2)
    assert len(pd.read_csv("all/folds.csv")) == 2


def test_one_fold_of_a_sweep_is_chosen_by_its_number(command, sweep):
    assert command("task=evaluate", f"run={sweep}", "fold=2", "hydra.run.dir=two") == (0, "")
    assert metrics("two") == metrics(sweep / "fold_2")
    code, errors = command("task=evaluate", f"run={sweep}", "fold=3")
    assert code == 2
    assert "fold: got 3, of a run that held out 1, 2" in errors


def test_the_data_may_have_moved_but_not_changed(command):
    own = ("audit=off", "data.root=faces", "hydra.run.dir=outputs/one/run")
    assert command(*SMALL, *own) == (0, "")
    shutil.move("faces", "elsewhere")
    settings = ("task=evaluate", "threads=1", "data.root=elsewhere")
    assert command(*settings, "hydra.run.dir=again") == (0, "")
    assert metrics("again") == metrics("outputs/one/run")
    [table] = Path("elsewhere").glob("*/parameters.csv")
    faces = pd.read_csv(table)
    faces.loc[:, "score"] = faces["score"].iloc[::-1].to_numpy()
    faces.to_csv(table, index=False)
    code, errors = command(*settings)
    assert code == 2
    assert "other images, scores or folds than run was trained with" in errors


def test_what_a_task_does_not_use_is_refused(command, trained):
    for task, override in (
        ("evaluate", "images=photos"),
        ("rank", "eval.pairs=20"),
        ("compare", "eval.decode=generate"),
        ("export", "eval.pairs=20"),
        ("train", "run=outputs/one/run"),
        ("prepare", "images=photos"),
    ):
        code, errors = command(f"task={task}", override)
        assert code == 2, (task, override)
        assert override.partition("=")[0] in errors


def test_training_settings_do_not_keep_a_run_from_being_used(command, trained):
    config = yaml.safe_load((trained / "config.yaml").read_text())
    config["train"]["precision"] = "fp16"
    (trained / "config.yaml").write_text(yaml.safe_dump(config))
    assert command("task=evaluate", "threads=1", "hydra.run.dir=again") == (0, "")
    assert metrics("again") == metrics(trained)


def test_a_run_that_was_stopped_while_judging_can_be_judged_and_ranked_with(
    command, tmp_path, monkeypatch
):
    def stopped(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lmol.workflow.training.evaluate_held_out", stopped)
        assert command(*SMALL, "hydra.run.dir=outputs/one/run")[0] == 130
    run = "run=outputs/one/run"
    assert command("task=evaluate", run, "hydra.run.dir=evaluated") == (0, "")
    assert "did not finish (status interrupted)" in Path("evaluated/run.log").read_text()
    for checkpoint in ("best", "last"):
        ranked = ("task=rank", run, f"checkpoint={checkpoint}", "ranking.pairing=reference")
        assert command(*ranked, f"hydra.run.dir={checkpoint}") == (0, "")
        assert "estimate" in pd.read_csv(f"{checkpoint}/ranking.csv")


def test_the_folder_of_an_evaluation_is_no_run(command, trained):
    assert command("task=evaluate", "hydra.run.dir=again") == (0, "")
    code, errors = command("task=evaluate", "run=again")
    assert code == 2
    assert "the folder of task=evaluate" in errors
    assert f"run={trained.absolute()}" in errors


def test_a_run_that_begins_or_is_damaged_does_not_hide_the_latest(command, trained):
    Path("outputs/two/run").mkdir(parents=True)
    Path("outputs/two/run/manifest.json").touch()
    assert command("task=evaluate", "hydra.run.dir=again") == (0, "")


def test_a_command_that_fails_leaves_what_others_have_just_begun(command, trained):
    """Another command's empty folder below one that this command made."""

    def begun(*arguments):
        folder = next(path for path in Path("outputs").glob("2*") if path.is_dir())
        (folder / "other" / "plots").mkdir(parents=True)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmol.runs.past_runs.PastRun.config", begun)
        assert command("task=evaluate")[0] == 130
    assert len(list(Path("outputs").glob("2*/other/plots"))) == 1


def damaged_validation(trained):
    (trained / "checkpoints/best/validation.csv").write_text("img1\na\n")
    return "task=rank", "validation.csv"


def damaged_references(trained):
    path = trained / "checkpoints/best/references.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    return "task=rank", "references.safetensors"


@pytest.mark.parametrize("damage", [damaged_validation, damaged_references])
def test_a_damaged_file_of_a_checkpoint_is_reported(command, trained, damage):
    task, message = damage(trained)
    code, errors = command(task)
    assert code == 2
    assert "no readable checkpoint" in errors
    assert message in errors


def no_run(trained):
    shutil.rmtree("outputs")
    return "no finished run below"


def unfinished_run(trained):
    facts = read(trained / "manifest.json") | {"status": "failed"}
    (trained / "manifest.json").write_text(json.dumps(facts))
    return "no finished run below"


def damaged_checkpoint(trained):
    path = trained / "checkpoints/best/adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    return "no readable checkpoint"


def checkpoint_without_a_tensor(trained):
    path = trained / "checkpoints/best/adapter_model.safetensors"
    tensors = load_file(path)
    tensors.popitem()
    save_file(tensors, path)
    return "is missing 1 tensor"


def another_base(trained):
    path = trained / "checkpoints/best/meta.json"
    path.write_text(json.dumps(read(path) | {"base": "0" * 64}))
    return "a base with other weights than the one it was trained on"


def checkpoint_gone(trained):
    shutil.rmtree(trained / "checkpoints/best")
    return "no checkpoint best"


BAD = (
    no_run,
    unfinished_run,
    damaged_checkpoint,
    checkpoint_without_a_tensor,
    another_base,
    checkpoint_gone,
)


@pytest.mark.parametrize("bad", BAD)
def test_a_run_that_cannot_be_used_is_reported_in_one_message(command, trained, bad):
    message = bad(trained)
    code, errors = command("task=evaluate", "hydra.run.dir=again")
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors
    assert not Path("again/metrics.json").exists()


@pytest.mark.parametrize("pairs", [67, 10])
def test_more_pairs_than_there_are_or_too_few_are_refused(command, trained, pairs):
    code, errors = command("task=evaluate", f"eval.pairs={pairs}", "hydra.run.dir=again")
    assert code == 2
    assert "at least 11, which connect 12 images, and at most the 66 pairs" in errors
    assert "eval.pairs=all" in errors
