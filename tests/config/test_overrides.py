"""The command line before Hydra: shorthands, prefixes, and all mistakes together."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lmol.config import load_config
from lmol.config.compose import hydra_arguments
from lmol.config.overrides import read_overrides
from lmol.errors import ConfigError


def rewritten(overrides: Sequence[str], **flags: Any) -> list[str]:
    """Overrides without a mistake, as Hydra is to read them."""
    found = read_overrides(overrides, **flags)
    assert found.problems == []
    return found.rewritten


def mistakes(*overrides: str) -> dict[str, str]:
    """Message by the key it is about."""
    return {problem.where: str(problem) for problem in read_overrides(overrides).problems}


@pytest.mark.parametrize(
    ("given", "index"),
    [
        ("fold=3", "3"),
        ("fold=1,2,3", "1,2,3"),
        ("fold=[1,2]", "1,2"),
        ("fold=range(1,6)", "range(1,6)"),
        ("fold='range(1,6)'", "range(1,6)"),
        ("fold=-1", "-1"),
    ],
)
def test_a_fold_number_is_the_fold_index(given: str, index: str) -> None:
    assert rewritten([given], multirun=True) == [f"++fold.index={index}"]


def test_a_named_fold_stays_a_group_choice() -> None:
    assert rewritten(["fold=official"]) == ["fold=official"]


@pytest.mark.parametrize(
    ("given", "folders"),
    [
        ("runs=a,b", ["a", "b"]),
        ("runs='a,b'", ["a", "b"]),
        ("+runs=outputs/a b/c", ["outputs/a b/c"]),
        ("runs=['a,b',c]", ["a,b", "c"]),
        ("runs=x=1,it's,(y),<z>", ["x=1", "it's", "(y)", "<z>"]),
        ("runs=a\\", ["a\\"]),
        ("runs=${a}\\'b", ["${a}\\'b"]),
        ("runs=null", None),
    ],
)
def test_runs_are_a_list_of_folders_and_no_sweep(given: str, folders: list[str] | None) -> None:
    assert load_config("task=report", given).runs == folders


def test_every_override_gets_the_prefix_that_hydra_wants() -> None:
    given = ["optim.lr_lora=1e-3", "+seed=1", "++fold.k=3", "+model=tiny", "recipe=default"]
    wanted = ["++optim.lr_lora=1e-3", "++seed=1", "++fold.k=3", "model=tiny", "+recipe=default"]
    assert rewritten(given) == wanted


def test_overrides_of_hydra_and_its_flags_are_not_changed() -> None:
    given = ["--cfg", "job", "hydra.run.dir=x", "~recipe"]
    assert hydra_arguments(given) == given
    completion = ["-sc", "install=bash"]
    assert hydra_arguments(completion) == completion


def test_flags_may_stand_between_overrides() -> None:
    assert hydra_arguments(["fold=1,2", "-m", "seed=1"]) == ["-m", "++fold.index=1,2", "++seed=1"]


@pytest.mark.parametrize("prefix", ["", "+", "++", "~"])
def test_a_typo_names_the_nearest_key(prefix: str) -> None:
    value = "" if prefix == "~" else "=1"
    found = mistakes(f"{prefix}optim.lr_loar{value}")
    assert "did you mean optim.lr_lora?" in found["optim.lr_loar"]


def test_a_bare_name_finds_its_full_key() -> None:
    assert "did you mean data.theta?" in mistakes("theta=0.1")["theta"]


def test_all_mistakes_are_reported_together() -> None:
    found = mistakes("optim.lr_loar=1", "modle=tiny", "model=tinny", "no-equals-sign")
    assert set(found) == {"optim.lr_loar", "modle", "model", "argument no-equals-sign"}
    assert "did you mean tiny?" in found["model"]
    assert "did you mean model?" in found["modle"]


def test_several_values_need_a_multirun() -> None:
    assert "add -m" in mistakes("fold=1,2")["fold.index"]
    assert rewritten(["fold=1,2", "+sweep=folds"]) == ["++fold.index=1,2", "+sweep=folds"]


def test_options_are_checked_in_lists_and_sweeps() -> None:
    assert "no_swap" in mistakes("+ablation=[no_swap,no_swop]")["ablation"]
    [problem] = read_overrides(["model=tiny,tinny"], multirun=True).problems
    assert "did you mean tiny" in str(problem)
    assert rewritten(["model=glob(*)"], multirun=True)[0] == "model=glob(*)"


def test_options_of_folders_that_the_user_adds_are_valid(tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "mine.yaml").write_text("seed: 1\n")
    place = f"hydra.searchpath=[file://{tmp_path}]"
    assert rewritten(["recipe=mine", place]) == ["+recipe=mine", place]
    assert rewritten(["recipe=mine"], config_dir=str(tmp_path)) == ["+recipe=mine"]


def test_the_job_folder_is_named_after_all_that_is_swept() -> None:
    swept = rewritten(["fold=1,2", "optim.lr_lora=1,2", "data/schedule=glob(*)"], multirun=True)
    assert swept[-1] == (
        "hydra.sweep.subdir='fold_${fold.index},optim.lr_lora=${slug:${optim.lr_lora}},"
        "data.schedule=${slug:${hydra:runtime.choices.data/schedule}}"
        "${swept_params:optim.lr_lora,data/schedule}'"
    )
    own = "hydra.sweep.subdir=mine"
    assert rewritten(["seed=1,2", own], multirun=True) == ["++seed=1,2", own]


def test_wrong_keys_and_wrong_values_are_reported_together_before_torch_is_loaded(tmp_path):
    wrong = ["optim.lr_loar=1", "optim.lr_lora=-1", "fold.k=0", "train.batch_pairs=two"]
    keys = ["optim.lr_loar=1", "modle=tiny"]
    code = "import sys; from lmol.run import main\ntry: main()\nexcept SystemExit: pass\n"
    code += "print('torch' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", code, *wrong],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    for key in (
        "optim.lr_loar",
        "optim.lr_lora: got -1",
        "fold.k: got 0",
        "train.batch_pairs: got",
    ):
        assert key in ended.stderr
    assert ended.stdout == "False\n"
    others = (
        (wrong[1:], "optim.lr_lora: got -1"),
        (keys, "did you mean model?"),
        (["model.sidde=3"], "model.sidde: got"),
        (["model.lora.r=-1"], "model.lora.r: got -1"),
    )
    for some, message in others:
        ended = subprocess.run(
            [sys.executable, "-c", code, *some], cwd=tmp_path, capture_output=True, text=True
        )
        assert message in ended.stderr
        assert ended.stdout.endswith("False\n")


def test_a_value_that_a_wrong_key_was_meant_to_give_is_not_missed_as_well():
    with pytest.raises(ConfigError) as caught:
        load_config("+recipe=scut_llava", "data.roto=/images")
    assert [problem.where for problem in caught.value.problems] == ["data.roto"]
