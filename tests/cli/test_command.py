"""The command as a user meets it: help, exit codes, messages, and nothing left behind."""

import json
import os
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from lmol.config import Config
from lmol.config.uncomposable import composition_mistake
from lmol.run import main
from lmol.runs.run_folder import RunFolder


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs the command in this process; returns exit code, standard output and error."""

    def run(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["lmol", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return run


def left() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*"))


def test_a_real_command_ends_with_code_2_and_says_why() -> None:
    arguments = [sys.executable, "-m", "lmol.run", "optim.lr_loar=1", "modle=tiny"]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "did you mean optim.lr_lora?" in ended.stderr
    assert "did you mean model?" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert left() == []


def test_the_first_line_of_a_training_comes_before_the_libraries() -> None:
    """It is not printed if torch is already loaded; a help text has no such line."""
    arguments = [sys.executable, "-m", "lmol.run", "tracking=off"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as training:
        assert training.stdout is not None
        first = training.stdout.readline().decode()
        training.kill()
    assert first.endswith("task=train: loading libraries ...\n")


def test_help_and_cfg_import_nothing_heavy() -> None:
    heavy = ["torch", "transformers", "peft", "pandas", "matplotlib", "scipy", "sklearn", "wandb"]
    program = (
        "import sys, atexit; sys.argv = ['lmol', '--cfg', 'job'];"
        f"atexit.register(lambda: print('HEAVY', [m for m in {heavy} if m in sys.modules]));"
        "import lmol.run; lmol.run.main()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0
    assert "lr_lora: 0.004" in ended.stdout
    assert ended.stdout.endswith("HEAVY []\n")


def test_preparing_imports_neither_torch_nor_scikit_learn() -> None:
    heavy = ["torch", "sklearn", "scipy.stats", "matplotlib"]
    settings = ["task=prepare", "data.source.num_images=60", "data.schedule.num_pairs=96"]
    program = (
        f"import sys, atexit; sys.argv = ['lmol', *{settings}];"
        f"atexit.register(lambda: print('HEAVY', [m for m in {heavy} if m in sys.modules]));"
        "import lmol.run; lmol.run.main()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0
    assert ended.stdout.endswith("HEAVY []\n")


def test_help_shows_groups_and_six_examples(command) -> None:
    code, out, _ = command("--help")
    assert code == 0
    for line in (
        "fold: official, seeded",
        "+recipe: default, own_images, own_images_24gb, scut_llava",
        "+sweep: ablations, baselines, folds",
    ):
        assert line in out
    assert out.count("\npython -m lmol.run") == 6


EXAMPLES = ["fold=3 optim.lr_lora=1e-3", "+recipe=scut_llava +ablation=no_swap +sweep=folds"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_of_the_help_compose(
    example: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lmol", "--cfg", "job", *example.split()])
    main()
    assert "task:\n  name: train" in capsys.readouterr().out


def test_a_mistaken_value_leaves_nothing_behind(command) -> None:
    code, _, err = command("task=prepare", "data.theta=-1", "fold=9")
    assert code == 2
    assert "data.theta: got -1" in err
    assert "fold.index: got 9, a fold index outside 1..k" in err
    assert "Traceback" not in err
    assert left() == []


def test_folders_that_were_there_stay(command) -> None:
    Path("outputs").mkdir()
    assert command("task=prepare", "data.theta=-1")[0] == 2
    assert left() == ["outputs"]


def test_debug_shows_the_traceback(command) -> None:
    code, _, err = command("task=prepare", "data.theta=-1", "debug=true")
    assert code == 2
    assert "Traceback" in err
    assert "data.theta: got -1" in err


def test_a_used_run_folder_is_refused_untouched(command) -> None:
    Path("mine").mkdir()
    Path("mine/manifest.json").write_text("{}")
    code, _, err = command("task=prepare", "hydra.run.dir=mine")
    assert code == 2
    assert "a run folder that exists" in err
    assert left() == ["mine", "mine/manifest.json"]


def test_every_failed_job_of_a_multirun_is_reported(command) -> None:
    code, _, err = command("-m", "fold=8,9", "task=prepare")
    assert code == 2
    for fold in (8, 9):
        assert f"fold_{fold}\n" in err
        assert f"got {fold}, a fold index outside 1..k" in err
    assert left() == []


class TaskThatFailsOnFoldTwo:
    """Stands for a module of lmol.tasks."""

    @staticmethod
    def run(config: Config, folder: RunFolder) -> float:
        if config.fold.index == 2:
            raise ZeroDivisionError("a fault in fold 2")
        return 1.0


def test_a_failed_job_stops_no_other_and_is_reported_where_it_ran(
    command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmol.run.import_module", lambda name: TaskThatFailsOnFoldTwo)
    code, _, err = command("-m", "fold=range(1,4)", "task=prepare")
    assert code == 1
    assert err.count("Failed: ") == 1
    [sweep] = Path("outputs/sweeps").iterdir()
    ended = [json.loads((sweep / f"fold_{i}/manifest.json").read_text()) for i in (1, 2, 3)]
    assert [facts["status"] for facts in ended] == ["done", "failed", "done"]
    assert ended[1]["error"] == "ZeroDivisionError: a fault in fold 2"
    assert "a fault in fold 2" in (sweep / "fold_2/run.log").read_text()
    assert "Run folder" in (sweep / "fold_3/run.log").read_text()


def test_a_recipe_that_overrides_an_unknown_group_is_reported(command) -> None:
    Path("recipe").mkdir()
    Path("recipe/mine.yaml").write_text("# @package _global_\ndefaults:\n- override /modle: tiny\n")
    code, _, err = command("+recipe=mine", "--config-dir", ".")
    assert code == 2
    assert "recipe/mine" in err
    assert "modle" in err
    assert left() == ["recipe", "recipe/mine.yaml"]


def test_a_recipe_that_chooses_an_unknown_option_is_reported(command) -> None:
    Path("recipe").mkdir()
    Path("recipe/mine.yaml").write_text(
        "# @package _global_\ndefaults:\n- override /model: tinny\n"
    )
    code, _, err = command("+recipe=mine", "--config-dir", ".")
    assert code == 2
    assert "did you mean tiny?" in err


def test_what_hydra_could_not_compose_is_one_of_our_errors() -> None:
    from hydra.errors import ConfigCompositionException

    assert "got why" in str(composition_mistake(ConfigCompositionException("why")))


def test_an_interrupt_ends_with_130(command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(values: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lmol.run.checked", interrupted)
    code, _, err = command("task=prepare")
    assert (code, err) == (130, "interrupted\n")
    assert left() == []


def test_a_fault_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(values: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("lmol.run.checked", faulty)
    monkeypatch.setattr(sys, "argv", ["lmol", "task=prepare"])
    with pytest.raises(ZeroDivisionError, match="a fault"):
        main()
    assert left() == []


def test_a_group_is_not_taken_away(command) -> None:
    code, _, err = command("model=null", "fold=null")
    assert code == 2
    assert "model: got 'null'" in err
    assert "fold: got 'null'" in err


def test_a_recipe_that_is_no_yaml_is_reported(command) -> None:
    Path("recipe").mkdir()
    Path("recipe/mine.yaml").write_text("a: [")
    code, _, err = command("+recipe=mine", "--config-dir", ".")
    assert code == 2
    assert "recipe/mine.yaml" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("where", ["hydra.run.dir", "hydra.sweep.dir"])
def test_a_run_folder_that_cannot_be_made_is_reported(command, where: str) -> None:
    Path("file").write_text("")
    sweep = ["-m", "fold=1,2"] if "sweep" in where else []
    code, _, err = command(*sweep, "task=prepare", f"{where}=file/below")
    assert code == 2
    assert "a place where no folder can be made" in err
    assert left() == ["file"]


class Model:
    """Stands for what takes gigabytes."""


def test_a_failed_job_of_a_multirun_lets_its_model_go(
    command, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[Model] = []

    class TaskThatFails:
        @staticmethod
        def run(config: Config, folder: RunFolder) -> float:
            held = [reference() for reference in models]
            alive.extend(model for model in held if model is not None)
            model = Model()
            models.append(weakref.ref(model))
            raise ZeroDivisionError("a fault")

    models: list[weakref.ref[Model]] = []
    monkeypatch.setattr("lmol.run.import_module", lambda name: TaskThatFails)
    assert command("-m", "fold=1,2,3", "task=prepare")[0] == 1
    assert len(models) == 3
    assert alive == []


@pytest.mark.parametrize(
    ("given", "set_"),
    [
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, None),
    ],
)
def test_threads_that_wait_give_their_cores_to_others(
    command, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], set_: str | None
) -> None:
    """Until a user says how they are to wait."""
    for name in [name for name in os.environ if name.startswith(("GOMP", "OMP_WAIT"))]:
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GOMP_SPINCOUNT", given.get("GOMP_SPINCOUNT", ""))  # put back at the end
    if "GOMP_SPINCOUNT" not in given:
        del os.environ["GOMP_SPINCOUNT"]
    command("task=nope")
    assert os.environ.get("GOMP_SPINCOUNT") == set_
