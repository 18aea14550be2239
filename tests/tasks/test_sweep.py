"""A sweep of trainings is one result: resumed, reported, and never averaged over missing folds."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from lmol.runs.environment import describe_process
from tests.tasks.conftest import SMALL

SWEEP = "hydra.sweep.dir=outputs/sweeps/mine"
FOLDER = Path("outputs/sweeps/mine")
ROOT = Path(__file__).parents[2]
REAL = (*SMALL, "audit=off")
ACCURACY = {1: 0.6, 2: 0.7, 3: 0.8, 4: 0.7, 5: 0.7}


class QuickTask:
    """Stands for lmol.tasks.train: writes a little of what a training writes."""

    def __init__(self, failing=()):
        self.failing, self.ran = failing, []

    def run(self, config, folder):
        fold = config.fold.index
        self.ran.append(fold)
        if fold in self.failing:
            raise ZeroDivisionError(f"a fault in fold {fold}")
        folder.write_json("metrics.json", {"accuracy": ACCURACY[fold], "pearson": 0.5})
        pairs = pd.DataFrame({"label": ["First", "Similar"], "pred": ["First", "Second"]})
        folder.write_table("predictions.csv", pairs)
        return ACCURACY[fold] + 0.1


@pytest.fixture
def quick(monkeypatch):
    """Replaces the training by a QuickTask."""

    def replace(*failing):
        task = QuickTask(failing)
        monkeypatch.setattr("lmol.run.import_module", lambda name: task)
        return task

    return replace


def read(name):
    return json.loads((FOLDER / name).read_text())


def lmol(*arguments):
    command = [sys.executable, "-m", "lmol.run", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_sweep_is_summed_up(command, quick):
    quick()
    assert command("-m", "fold=1,2,3", SWEEP) == (0, "")
    found = read("sweep.json")
    assert (found["recipe"], found["status"], found["swept_keys"]) == ("default", "done", [])
    [folds] = found["groups"]
    assert (folds["folds_wanted"], folds["folds_missing"]) == ([1, 2, 3], [])
    accuracy = folds["over_folds"]["accuracy"]
    assert (accuracy["mean"], accuracy["sd"]) == pytest.approx((0.7, 0.1))
    half = 4.302653 * 0.1 / 3**0.5  # t(.975, 2)
    assert (accuracy["low"], accuracy["high"]) == pytest.approx((0.7 - half, 0.7 + half))
    assert found["seconds"] >= found["seconds_of_jobs"] + found["seconds_outside_jobs"] - 0.01
    table = pd.read_csv(FOLDER / "sweep.csv")
    assert table["accuracy"].tolist() == [0.6, 0.7, 0.8]
    assert (table["rss_after_bytes"] > 10e6).all()
    whole = pd.read_csv(FOLDER / "confusion.csv", index_col="label")
    assert whole.loc["Similar", "Second"] == 3
    assert (FOLDER / "plots/confusion.png").is_file()


def test_the_same_sweep_again_does_what_is_left(command, quick, capsys):
    quick(2)
    assert command("-m", "fold=1,2,3", SWEEP)[0] == 1
    again = quick()
    assert command("-m", "fold=range(1,5)", SWEEP) == (0, "")
    assert again.ran == [2, 4]
    failed = read("unfinished/fold_2_1/manifest.json")
    assert failed["error"] == "ZeroDivisionError: a fault in fold 2"
    found = read("sweep.json")
    assert found["status"] == "done"
    assert found["groups"][0]["folds_done"] == [1, 2, 3, 4]
    third = quick()
    assert command("-m", "fold=1,2", SWEEP) == (0, "")
    assert third.ran == []


def test_a_failed_fold_is_named_and_not_averaged_away(command, quick, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    quick(2)
    code, printed = command("-m", "fold=1,2,3", SWEEP)
    assert code == 1
    assert printed.count("Failed: ") == 1
    assert "ZeroDivisionError: a fault in fold 2" in printed
    assert "a fault in fold 2" in (FOLDER / "fold_2/run.log").read_text()
    found = read("sweep.json")
    [folds] = found["groups"]
    assert found["status"] == "unfinished"
    assert (folds["folds_done"], folds["folds_missing"]) == ([1, 3], [2])
    assert folds["over_folds"] is None
    assert folds["over_finished_folds"]["accuracy"]["folds"] == 2
    assert [job["status"] for job in found["jobs"]] == ["done", "failed", "done"]


def test_the_table_says_which_failed_and_why(quick, tmp_path, monkeypatch, capsys):
    from lmol.run import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lmol", "-m", "fold=1,2,9", SWEEP])
    quick(2)
    with pytest.raises(SystemExit) as ended:
        main()
    out = capsys.readouterr().out
    assert ended.value.code == 1
    assert "default: only 1 of 3 folds, without 2, 9" in out
    assert "fold 2 failed: ZeroDivisionError: a fault in fold 2" in out
    assert "fold 9 failed: fold.index: got 9, a fold index outside 1..k" in out
    assert "continues it" in out


def test_fail_fast_begins_no_job_after_a_failure(command, quick):
    task = quick(2)
    assert command("-m", "fold=1,2,3,4", "fail_fast=true", SWEEP)[0] == 1
    assert task.ran == [1, 2]
    found = read("sweep.json")
    assert [job["status"] for job in found["jobs"]] == ["done", "failed", "missing", "missing"]
    assert quick().ran == []
    again = quick()
    assert command("-m", "fold=1,2,3,4", "fail_fast=true", SWEEP) == (0, "")
    assert again.ran == [2, 3, 4]


def test_mistakes_alone_end_with_code_2(command, quick):
    quick()
    code, printed = command("-m", "fold=1,9", SWEEP)
    assert code == 2
    assert "Traceback" not in printed
    assert not (FOLDER / "fold_9").exists()
    assert command("-m", "fold=1,2", SWEEP) == (0, "")
    assert read("sweep.json")["groups"][0]["folds_wanted"] == [1, 2]


def test_a_sweep_with_a_missing_fold_is_not_evaluated(command, quick):
    quick()
    assert command("-m", "fold=1,2", SWEEP) == (0, "")
    shutil.rmtree(FOLDER / "fold_2")
    code, printed = command("task=evaluate", f"run={FOLDER}")
    assert code == 2
    assert "a sweep in which fold 2 did not finish" in printed


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("seed=3", "seed 3 where the sweep has 42"),
        ("+ablation=no_swap", "train.loss.swap_ce_weight 0.0 where the sweep has 1.0"),
        ("optim.lr_lora=1e-3,2e-3", "a sweep over folds only"),
    ],
)
def test_another_sweep_in_the_folder_is_refused_untouched(command, quick, other, message):
    task = quick()
    assert command("-m", "fold=1", SWEEP) == (0, "")
    before = {path: path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()}
    code, printed = command("-m", "fold=1,2", other, SWEEP)
    assert code == 2
    assert message in printed
    assert printed.count("\n") == 2
    assert {path: path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()} == before
    assert task.ran == [1]


def test_a_job_refuses_to_run_beside_others_of_another_base(command, quick):
    """As where the configuration files were changed while jobs waited in a queue."""
    task = quick()
    whole = task.run

    def changed(config, folder):
        record = yaml.safe_load((FOLDER / "sweep.yaml").read_text())
        record["signature"], record["config"]["seed"] = "0", 3
        (FOLDER / "sweep.yaml").write_text(yaml.safe_dump(record))
        return whole(config, folder)

    task.run = changed
    code, printed = command("-m", "fold=1,2", SWEEP)
    assert code == 2
    assert "seed 42 where the sweep has 3" in printed
    assert not (FOLDER / "fold_2").exists()


def test_settings_without_effect_may_differ(command, quick):
    quick()
    assert command("-m", "fold=1", SWEEP) == (0, "")
    assert command("-m", "fold=2", "threads=1", "name=other", SWEEP) == (0, "")
    assert read("sweep.json")["groups"][0]["folds_done"] == [1, 2]


def test_a_job_that_another_process_does_is_left_alone(command, quick):
    (FOLDER / "fold_1").mkdir(parents=True)
    manifest = {"status": "running", "fold": 1, "swept": {}, **describe_process()}
    (FOLDER / "fold_1/manifest.json").write_text(json.dumps(manifest))
    task = quick()
    code, printed = command("-m", "fold=1,2", SWEEP)
    assert code == 3  # not all that was asked for is there
    assert "1 of 2 jobs are not done: fold_1 (running)" in printed
    assert task.ran == [2]
    assert [path.name for path in (FOLDER / "fold_1").iterdir()] == ["manifest.json"]
    assert read("sweep.json")["groups"][0]["folds_missing"] == [1]


@pytest.mark.parametrize("half_written", ["", "{"])
def test_a_half_written_folder_is_moved_aside(command, quick, half_written):
    (FOLDER / "fold_1").mkdir(parents=True)
    (FOLDER / "fold_1/manifest.json").write_text(half_written)
    task = quick()
    assert command("-m", "fold=1,2", SWEEP) == (0, "")
    assert task.ran == [1, 2]
    assert (FOLDER / "unfinished/fold_1_1/manifest.json").read_text() == half_written


def test_every_setting_has_its_folds(command, quick):
    task = quick()
    assert command("+sweep=lr", "optim.lr_projector=1e-3", "fold=1,2", SWEEP) == (0, "")
    assert len(task.ran) == 6
    found = read("sweep.json")
    assert found["swept_keys"] == ["optim.lr_lora"]
    assert [group["swept"]["optim.lr_lora"] for group in found["groups"]] == [1e-3, 4e-3, 1e-2]
    assert all(group["folds_done"] == [1, 2] for group in found["groups"])
    assert (FOLDER / "fold_1,optim.lr_lora=0.004,optim.lr_projector=0.001").is_dir()
    assert len(pd.read_csv(FOLDER / "confusion.csv")) == 9
    assert command("+sweep=lr", "optim.lr_projector=1e-3", "fold=1", SWEEP) == (0, "")
    assert len(task.ran) == 6


def test_all_ablations_are_swept_over_all_folds(command, quick):
    task = quick()
    assert command("+sweep=ablations", SWEEP, "ablation=none,no_swap", "fold=4,5") == (0, "")
    assert task.ran == [4, 5] * 2
    found = read("sweep.json")
    assert {group["swept"]["ablation"] for group in found["groups"]} == {"none", "no_swap"}
    preset = yaml.safe_load((ROOT / "experiments/sweep/ablations.yaml").read_text())
    swept = preset["hydra"]["sweeper"]["params"]["+ablation"].replace(" ", "").split(",")
    assert preset["hydra"]["sweeper"]["params"]["++fold.index"] == "range(1,6)"
    assert set(swept) == {path.stem for path in (ROOT / "experiments/ablation").glob("*.yaml")}
    assert {"ablation": "no_swap"} in [group["swept"] for group in found["groups"]]
    assert found["groups"][0]["swept"] == {"ablation": "none"}


def test_all_baselines_are_swept_over_all_folds(command, quick):
    task = quick()
    swept = "baseline=comparer,ridge,zero_shot"
    assert command("+sweep=baselines", SWEEP, swept, "fold=4,5") == (0, "")
    assert task.ran == [4, 5] * 3
    preset = yaml.safe_load((ROOT / "experiments/sweep/baselines.yaml").read_text())
    params = preset["hydra"]["sweeper"]["params"]
    assert params["++fold.index"] == "range(1,6)"
    named = set(params["+baseline"].split(","))
    assert named == {path.stem for path in (ROOT / "experiments/baseline").glob("*.yaml")}
    job = yaml.safe_load((FOLDER / "fold_4,baseline=ridge/config.yaml").read_text())
    assert job["model"]["_target_"] == "lmol.model.baseline.spec.RidgeSpec"


def test_a_sweep_of_no_jobs_is_refused(command):
    code, printed = command("-m", "+ablation=glob(nothing*)", SWEEP)
    assert code == 2
    assert "a sweep of no job" in printed
    assert list(Path().rglob("*")) == []


@pytest.mark.parametrize("name", ["a b", "../up", "näh'", ""])
def test_a_name_with_odd_characters_is_reported_once_and_leaves_nothing(command, quick, name):
    quick()
    code, printed = command("-m", "fold=1,2", f'name="{name}"')
    assert code == 2
    assert printed.count("name: got") == 1
    assert list(Path().rglob("*")) == []


def test_a_sweep_over_an_unknown_key_is_refused_before_it_begins(command, quick):
    quick()
    code, printed = command("-m", "optim.lr_loar=1,2", SWEEP)
    assert code == 2
    assert "did you mean optim.lr_lora?" in printed
    assert list(Path().rglob("*")) == []


def test_a_launcher_that_is_not_installed_names_its_extra(command):
    from hydra.errors import MissingConfigException

    from lmol.config.uncomposable import composition_mistake

    missing = MissingConfigException("no", "hydra/launcher/ray", ["basic"])
    assert "pip install 'lmol[ray]'" in str(composition_mistake(missing))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "slurm_local"])
def test_launchers_run_the_jobs_in_their_own_processes(command, launcher):
    ended = lmol("-m", "fold=1,9", f"+launcher={launcher}", *REAL, SWEEP)
    _, printed = ended.communicate(timeout=180)
    assert ended.returncode == 2, printed
    assert "got 9, a fold index outside 1..k" in printed
    found = read("sweep.json")
    assert [job["status"] for job in found["jobs"]] == ["done", "failed"]
    assert found["jobs"][0]["rss_after_bytes"] > 10e6
    assert read("fold_1/manifest.json")["pid"] != ended.pid
    assert len(pd.read_csv(FOLDER / "sweep.csv")) == 2


@pytest.mark.slow
def test_a_killed_sweep_goes_on(command):
    settings = ("-m", "fold=1,2", *REAL, SWEEP)
    killed = lmol(*settings)
    second = FOLDER / "fold_2/manifest.json"
    deadline = time.monotonic() + 120
    while not (second.is_file() and second.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    first = (FOLDER / "fold_1/metrics.json").stat().st_mtime_ns
    assert command(*settings) == (0, "")
    assert (FOLDER / "fold_1/metrics.json").stat().st_mtime_ns == first
    assert read("unfinished/fold_2_1/manifest.json")["status"] == "running"
    found = read("sweep.json")
    assert found["groups"][0]["folds_done"] == [1, 2]


@pytest.mark.slow
def test_two_commands_in_one_folder_share_its_folds(command):
    settings = ("-m", "fold=1,2", *REAL, SWEEP)
    both = [lmol(*settings) for _ in range(2)]
    printed = [ended.communicate(timeout=240) for ended in both]
    codes = sorted(ended.returncode for ended in both)
    assert codes in ([0, 0], [0, 3]), printed  # 3: it ended while the other was still at a fold
    assert not (FOLDER / "unfinished").exists()
    assert command(*settings) == (0, "")
    assert read("sweep.json")["status"] == "done"
    out = "".join(out for out, _ in printed)
    assert out.count("Run folder:") == 2


@pytest.mark.slow
def test_optuna_goes_by_the_validation_metric(command):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="needs lmol[optuna]")
    ended = lmol("+sweep=optuna", "hydra.sweeper.n_trials=2", *REAL, SWEEP)
    _, printed = ended.communicate(timeout=240)
    assert ended.returncode == 0, printed
    results = yaml.safe_load((FOLDER / "optimization_results.yaml").read_text())
    validated = [job["validation"] for job in read("sweep.json")["jobs"]]
    assert results["best_value"] == max(validated)
    again = lmol("+sweep=optuna", "hydra.sweeper.n_trials=2", *REAL, SWEEP)
    assert again.communicate(timeout=240)[0].count("finished earlier") == 2


@pytest.mark.slow
def test_ray_runs_the_jobs(command):
    pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="needs lmol[ray]")
    ended = lmol("-m", "fold=1,2", "+launcher=ray", *REAL, SWEEP)
    _, printed = ended.communicate(timeout=300)
    assert ended.returncode == 0, printed
    assert read("sweep.json")["status"] == "done"
