"""W&B receives all records of a run, offline, and its stored file is read back."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lmol.config import Config, as_dict, load_config
from lmol.config.schema import TrackingMode
from lmol.errors import ConfigError, LmolError
from lmol.runs.run_folder import RunFolder, SilentFolder
from lmol.tracking.opening import open_tracker, require_tracking
from lmol.tracking.tracker import Tracker
from lmol.tracking.wandb import run_id
from tests.tracking.wandb_file import stored_run, stored_runs

KEY = "0123456789abcdef" * 3


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No key, no settings and no home; W&B reads the environment once a session."""
    import wandb

    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "HOME", "NETRC"):
        monkeypatch.setenv(name, str(tmp_path / "home" / name))
    yield
    wandb.teardown()


@pytest.fixture
def config() -> Config:
    return load_config("task=audit", "tracking=offline", "fold=2", "tracking.tags=[mine]")


@pytest.fixture
def run(tmp_path: Path, config: Config) -> RunFolder:
    return RunFolder.claim(tmp_path / "run", config)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "face.png"
    Image.fromarray(np.full((4, 6, 3), 7, dtype=np.uint8)).save(path)
    return path


def test_a_run_says_what_it_is(config: Config, run: RunFolder) -> None:
    with open_tracker(config, run):
        pass
    stored = stored_run(run.path)
    assert (stored.run.project, stored.run.entity) == ("lmol", "")
    assert (stored.run.run_group, stored.run.job_type) == ("default", "audit")
    assert stored.run.display_name == "default fold 2"
    assert set(stored.run.tags) == {"mine", "default", "fold 2", "SyntheticFaces"}
    assert stored.run.run_id == run_id(run.path)
    own = ("_wandb", "manifest")
    assert {key: value for key, value in stored.config.items() if key not in own} == as_dict(config)


def test_a_job_of_a_sweep_stands_in_its_group(config: Config, tmp_path: Path) -> None:
    run = RunFolder.claim(tmp_path / "lr_2026-11-24" / "fold_2,optim.lr_lora=0.1", config)
    with open_tracker(config, run):
        pass
    assert stored_run(run.path).run.run_group == "lr_2026-11-24"


def test_no_number_of_a_step_is_lost(config: Config, run: RunFolder) -> None:
    logged: list[tuple[int, dict[str, float]]] = [
        (20, {"loss": 0.5, "lr/lora": 1e-3}),
        (20, {"accuracy": 0.75}),
        (10, {"late": 1.0}),
        (30, {"loss": 0.25}),
    ]
    with open_tracker(config, run) as tracker:
        for step, scalars in logged:
            tracker.log(step, scalars)
    stored = stored_run(run.path)
    assert stored.records() == [scalars | {"step": step} for step, scalars in logged]
    assert [(m.name, m.glob_name, m.step_metric) for m in stored.metrics] == [
        ("step", "", ""),
        ("", "*", "step"),
    ]
    assert stored.summary["loss"] == 0.25


def test_numbers_that_are_none_break_nothing(config: Config, run: RunFolder) -> None:
    with open_tracker(config, run) as tracker:
        tracker.log(1, {"loss": math.nan, "norm": math.inf, "half": np.float64(0.5)})
        tracker.log(2, {"loss": 1.0})
        tracker.summary({"accuracy": math.nan, "norm": -math.inf})
    first, second = stored_run(run.path).records()
    assert math.isnan(first["loss"])
    assert (first["norm"], first["half"], second["loss"]) == (math.inf, 0.5, 1.0)
    assert stored_run(run.path).summary["accuracy"] is None


def test_a_table_comes_back_with_its_pictures(
    config: Config, run: RunFolder, picture: Path
) -> None:
    columns: dict[str, Any] = {
        "name": ["lora_A", "lora_B"],
        "norm": np.array([0.5, np.nan]),
        "zeros": [1, "all"],
        "mode": [TrackingMode.OFF, None],
        "shape": [(2, 3), None],
        "image": [picture, None],
    }
    before = picture.read_bytes()
    with open_tracker(config, run) as tracker:
        tracker.table("audit/gradients", 7, columns)
        picture.unlink()
    stored = stored_run(run.path)
    logged = stored.one("audit/gradients")
    assert (logged["_type"], logged["nrows"], stored.one("step")) == ("table-file", 2, 7)
    [artifact] = stored.artifacts
    files = {entry.path: Path(entry.local_path) for entry in artifact.manifest.contents}
    table = json.loads(files["audit/gradients.table.json"].read_text())
    assert table["columns"] == list(columns)
    (*first, shown), (*second, nothing) = table["data"]
    assert first == ["lora_A", 0.5, "1", "off", "[2, 3]"]
    assert second == ["lora_B", None, "all", None, None]
    assert nothing is None
    assert files[shown["path"]].read_bytes() == before


def test_a_picture_that_is_gone_costs_the_table_and_not_the_run(
    config: Config, run: RunFolder, picture: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture.unlink()
    with open_tracker(config, run) as tracker:
        tracker.table("held_out/hardest_pairs", 1, {"picture1": [picture]})
        tracker.log(2, {"train/loss": 0.5})
    assert "W&B failed" in caplog.text
    assert stored_run(run.path).one("train/loss") == 0.5


def test_columns_of_two_lengths_are_refused(config: Config, run: RunFolder) -> None:
    with open_tracker(config, run) as tracker, pytest.raises(ValueError, match="shorter"):
        tracker.table("broken", 1, {"a": [1, 2], "b": [1]})


def test_a_picture_comes_back_with_its_caption(
    config: Config, run: RunFolder, picture: Path
) -> None:
    before = picture.read_bytes()
    with open_tracker(config, run) as tracker:
        tracker.image("audit/flow", 3, picture, caption="step 3")
        picture.unlink()
    logged = stored_run(run.path).one("audit/flow")
    assert (logged["caption"], logged["width"], logged["height"]) == ("step 3", 6, 4)
    assert (stored_run(run.path).files / logged["path"]).read_bytes() == before


def test_results_and_manifest_are_reported(config: Config, run: RunFolder, tmp_path: Path) -> None:
    with open_tracker(config, run) as tracker:
        tracker.summary({"test": {"accuracy": 0.8, "mode": TrackingMode.OFF}})
        tracker.note({"data_hash": "abc"})
        tracker.note({"split_hash": "def"})
    stored = stored_run(run.path)
    assert stored.summary["test"] == {"accuracy": 0.8, "mode": "off"}
    logged = stored.config["manifest"]
    assert (logged["data_hash"], logged["split_hash"]) == ("abc", "def")
    assert logged["signature"] == run.facts["signature"]
    assert not {"status", "end", "error"} & set(logged)


def test_a_checkpoint_is_an_artifact_without_a_second_copy(config: Config, run: RunFolder) -> None:
    run.write_text("checkpoints/best/weights.bin", "weights")
    with open_tracker(config, run) as tracker:
        tracker.artifact(run.path / "checkpoints" / "best", "default fold 2: best")
    [artifact] = stored_run(run.path).artifacts
    assert (artifact.type, artifact.name) == ("model", "default-fold-2--best")
    [entry] = artifact.manifest.contents
    assert entry.path == "weights.bin"
    assert entry.local_path == str(run.path / "checkpoints" / "best" / "weights.bin")


def test_a_run_that_ends_well_is_reported(config: Config, run: RunFolder) -> None:
    with open_tracker(config, run):
        pass
    assert stored_run(run.path).exit_code == 0


def fail(config: Config, run: RunFolder, error: BaseException) -> None:
    with open_tracker(config, run) as tracker:
        tracker.log(1, {"loss": 1.0})
        raise error


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(0)])
def test_a_run_that_fails_is_reported(config: Config, run: RunFolder, error: BaseException) -> None:
    with pytest.raises(type(error)):
        fail(config, run, error)
    stored = stored_run(run.path)
    assert stored.exit_code == 1
    assert stored.records() == [{"loss": 1.0, "step": 1}]


SCRIPT = """
import signal, sys, time
from pathlib import Path
from lmol.config import load_config
from lmol.runs.run_folder import RunFolder
from lmol.tracking.opening import open_tracker
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
def hosts(event, details):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        print("asked for", details[0], file=sys.stderr)
sys.addaudithook(hosts)
config = load_config("task=prepare", "tracking=offline")
with open_tracker(config, RunFolder.claim(Path(sys.argv[1]), config)) as tracker:
    tracker.log(1, {"loss": 1.0})
    tracker.table("table", 1, {"a": [1]})
    print("begun", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def start(folder: Path, seconds: float) -> subprocess.Popen[str]:
    """The script in a process that prints each host that Python asks for."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), str(seconds)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_offline_asks_for_no_host_and_says_nothing(tmp_path: Path) -> None:
    with start(tmp_path / "run", 0) as process:
        assert process.communicate(timeout=60) == ("begun\n", "")
    assert process.returncode == 0
    assert stored_run(tmp_path / "run").exit_code == 0


def test_ctrl_c_ends_a_run_as_failed(tmp_path: Path) -> None:
    with start(tmp_path / "run", 60) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
    stored = stored_run(tmp_path / "run")
    assert stored.exit_code == 1
    assert stored.records()[0] == {"loss": 1.0, "step": 1}


def test_two_runs_in_one_process_are_two(tmp_path: Path) -> None:
    for fold in (1, 2):
        config = load_config("task=prepare", "tracking=offline", f"fold={fold}")
        with open_tracker(config, RunFolder.claim(tmp_path / f"{fold}", config)) as tracker:
            tracker.log(fold, {"loss": float(fold)})
    stored = [stored_run(tmp_path / "1"), stored_run(tmp_path / "2")]
    assert [one.config["fold"]["index"] for one in stored] == [1, 2]
    assert [one.records() for one in stored] == [[{"loss": n, "step": n}] for n in (1, 2)]
    assert len({one.run.run_id for one in stored}) == 2


def test_a_run_left_open_is_not_continued_by_the_next(config: Config, tmp_path: Path) -> None:
    runs = [RunFolder.claim(tmp_path / name, config) for name in ("a", "b")]
    with open_tracker(config, runs[0]), open_tracker(config, runs[1]) as tracker:
        tracker.log(1, {"loss": 1.0})
    assert [len(stored_run(run.path).history) for run in runs] == [0, 1]


def test_the_same_folder_continues_the_same_run(config: Config, run: RunFolder) -> None:
    for step in (1, 2):
        with open_tracker(config, run) as tracker:
            tracker.log(step, {"loss": 1.0})
    first, second = stored_runs(run.path)
    assert first.run.run_id == second.run.run_id
    assert second.run.resume


@pytest.mark.parametrize("mode", ["online", "disabled"])
def test_the_environment_changes_nothing(
    config: Config, run: RunFolder, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_CONSOLE", "wrap")
    monkeypatch.setenv("WANDB_RUN_ID", "another")
    monkeypatch.setenv("WANDB_SAVE_CODE", "true")
    with open_tracker(config, run) as tracker:
        print("a line of the console")
        tracker.log(1, {"loss": 1.0})
    stored = stored_run(run.path)
    assert stored.run.run_id == run_id(run.path)
    assert {path.name for path in stored.files.rglob("*")} <= {"requirements.txt"}
    assert not list(stored.folder.rglob("*.py"))


def test_the_key_is_written_nowhere(
    config: Config, run: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with open_tracker(config, run) as tracker:
        tracker.table("table", 1, {"a": [1]})
        tracker.note({"python": "3.11"})
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def test_everything_stands_in_the_run_folder(config: Config, run: RunFolder) -> None:
    before = {path.name for path in run.path.iterdir()}
    with open_tracker(config, run) as tracker:
        tracker.table("table", 1, {"a": [1]})
    assert {path.name for path in run.path.iterdir()} == before | {"wandb"}
    [entry] = stored_run(run.path).artifacts[0].manifest.contents
    assert Path(entry.local_path).is_relative_to(run.path / "wandb")
    assert "WANDB_DATA_DIR" not in os.environ


def test_settings_that_wandb_does_not_take_are_reported(
    config: Config, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    with pytest.raises(LmolError, match=r"W&B says: mode: .*; expected .*\n.*WANDB_\*"):
        fail(config, run, AssertionError("never opened"))
    assert "WANDB_DATA_DIR" not in os.environ


def test_settings_that_wandb_does_not_take_are_reported_before_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "not a server")
    with pytest.raises(LmolError, match="W&B says: base_url"):
        require_tracking(load_config("task=train", "tracking=online"))


def test_an_upload_that_takes_too_long_is_reported(
    config: Config,
    run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import wandb

    def wait_in_vain(self: wandb.Run, exit_code: int) -> None:
        raise TimeoutError

    with caplog.at_level("WARNING", "lmol"), open_tracker(config, run):
        monkeypatch.setattr(wandb.Run, "finish", wait_in_vain)
    [message] = [record.message for record in caplog.records if record.name.startswith("lmol")]
    assert message.startswith(f"W&B: not all is uploaded; wandb sync {run.path}")


def test_what_goes_wrong_later_is_reported_once_and_ends_nothing(
    config: Config, run: RunFolder, picture: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import wandb

    def gone(self: wandb.Run, *arguments: Any, **named: Any) -> None:
        raise ConnectionResetError("W&B's process is gone")

    with (
        pytest.MonkeyPatch.context() as patch,
        caplog.at_level("WARNING", "lmol"),
        open_tracker(config, run) as tracker,
    ):
        for name in ("log", "log_artifact", "finish"):
            patch.setattr(wandb.Run, name, gone)
        tell_everything(tracker, picture)
    [message] = [record.message for record in caplog.records if record.name.startswith("lmol")]
    assert "W&B failed, and may miss what follows: ConnectionResetError" in message


def tell_everything(tracker: Tracker, picture: Path) -> None:
    tracker.log(1, {"loss": 1.0})
    tracker.table("table", 1, {"a": [1]})
    tracker.image("image", 1, picture)
    tracker.summary({"accuracy": 1.0})
    tracker.note({"data_hash": "abc"})
    tracker.artifact(picture.parent, "best")


def test_off_takes_everything_and_keeps_nothing(tmp_path: Path, picture: Path) -> None:
    config = load_config("task=prepare", "tracking=off")
    run = RunFolder.claim(tmp_path / "run", config)
    before = list(run.path.iterdir())
    with open_tracker(config, run) as tracker:
        tell_everything(tracker, picture)
    assert list(run.path.iterdir()) == before


def test_a_process_that_does_not_write_does_not_track(config: Config, tmp_path: Path) -> None:
    with open_tracker(config, SilentFolder(tmp_path / "run")) as tracker:
        assert type(tracker) is Tracker
    assert not (tmp_path / "run").exists()


@pytest.fixture
def online() -> Config:
    return load_config("task=train", "tracking=online")


def refusal(config: Config) -> LmolError:
    with pytest.raises(ConfigError) as caught:
        require_tracking(config)
    [problem] = caught.value.problems
    assert problem.where == "tracking.mode"
    return problem


def test_online_without_a_key_is_refused(online: Config) -> None:
    problem = refusal(online)
    assert "online, with no key for https://" in problem.got
    for way in ("wandb login", "WANDB_API_KEY", "tracking=offline"):
        assert way in problem.remedy


def test_online_with_a_key_that_is_none_is_refused(
    online: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    problem = refusal(online)
    assert "an invalid key" in problem.got
    assert "secret" not in str(problem)


def test_a_key_of_the_environment_is_found_without_a_word(
    online: Config, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    require_tracking(online)
    assert capfd.readouterr() == ("", "")


def test_a_key_of_netrc_is_found_for_its_host_alone(
    online: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text(f"machine wandb.example.org login user password {KEY}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    refusal(online)
    import wandb

    wandb.teardown()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    require_tracking(online)


def test_off_and_offline_need_no_key(config: Config) -> None:
    require_tracking(config)
    require_tracking(load_config("task=prepare", "tracking=off"))


@pytest.mark.parametrize("found", [None, ModuleSpec("wandb", None)])
def test_tracking_without_the_package_is_refused(
    config: Config, monkeypatch: pytest.MonkeyPatch, found: ModuleSpec | None
) -> None:
    monkeypatch.setattr("lmol.tracking.opening.find_spec", lambda name: found)
    problem = refusal(config)
    assert problem.got == "offline without the package wandb"
    assert "pip install wandb" in problem.remedy
