"""Checkpoints, training states and run folders with any damage: read, or refused by their folder.

A checkpoint has no checksum: a flipped bit may give other finite weights. A state has one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_module
from hypothesis import given
from hypothesis import strategies as st

from lmol.config import check, load_config
from lmol.config.groups import CONF
from lmol.config.saved import with_resumed, with_saved
from lmol.evaluation.ranked import Validation
from lmol.model.checkpoint import load_checkpoint, read_meta
from lmol.model.pair_model import PairModel
from lmol.model.references import References
from lmol.model.spec import build_model
from lmol.runs.past_runs import find_runs, saved_runs
from lmol.runs.state_folder import states_of
from lmol.runs.unfinished import refuse_to_continue, run_to_resume, unfinished_runs
from lmol.training.states import read_training_state
from tests.bad_input.attempts import KEYS, SIZES, Attempts, cases
from tests.bad_input.damage import (
    damaged_bytes,
    edited_table,
    edited_tensors,
    edited_text,
    edited_values,
    sign,
)

STORED = Path(__file__).parents[1] / "stored"


@contextmanager
def changed(file: Path) -> Iterator[None]:
    """Restore a file after the block."""
    whole = file.read_bytes()
    try:
        yield
    finally:
        if file.is_dir():
            file.rmdir()
        file.write_bytes(whole)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    return Path(shutil.copytree(STORED / "finished_c4ec143", tmp_path / "outputs/one/run"))


@pytest.fixture(scope="module")
def model() -> PairModel:
    """The model of the stored run."""
    meta = read_meta(STORED / "finished_c4ec143" / "checkpoints" / "best")
    return build_model(meta["comparer"])


READ = ("adapter_model.safetensors", "meta.json", "validation.csv", "validation.json")
REFERENCES = "references.safetensors"


@pytest.mark.parametrize("num_cases", SIZES)
def test_checkpoints(
    finished: Path,
    model: PairModel,
    attempts: Callable[[str, Path], Attempts],
    num_cases: int,
) -> None:
    folder = finished / "checkpoints" / "best"
    attempt = attempts("checkpoints", folder)

    def load(name: str) -> None:
        if "validation" not in name:
            load_checkpoint(model, folder)
            assert all(torch.isfinite(tensor).all() for tensor in model.trained_state().values())
            References.load(folder)
        elif (found := Validation.load(folder)) is not None:
            assert found.temperature() > 0
            if found.mean_score is not None:
                found.scale(1.0, num_pairs=20, num_images=8)

    @cases(num_cases)
    @given(data=st.data(), name=st.sampled_from([*READ, REFERENCES]), edited=st.booleans())
    def damage(data: st.DataObject, name: str, edited: bool) -> None:
        file = folder / name
        with changed(file):
            if not edited:
                file.write_bytes(damaged_bytes(data.draw, file.read_bytes()))
            elif file.suffix == ".json":
                file.write_bytes(edited_text(data.draw, file))
            elif file.suffix == ".csv":
                file.write_bytes(edited_table(data.draw, file))
            else:
                edited_tensors(data.draw, file, file)
            fault = f"{name} {'edited' if edited else 'damaged'}"
            attempt(fault, lambda: load(name), (folder,))

    damage()
    for name in (*READ, REFERENCES):
        with changed(folder / name):
            (folder / name).unlink()
            attempt("missing", partial(load, name), (folder,))
            (folder / name).mkdir()
            attempt("a folder", partial(load, name), (folder,))


@pytest.mark.parametrize("num_cases", SIZES)
def test_recipes_in_checkpoints(
    attempts: Callable[[str, Path], Attempts], num_cases: int, tmp_path: Path
) -> None:
    """The values from which a checkpoint's model is built; the model itself is not built."""
    attempt = attempts("recipes in checkpoints", tmp_path)
    meta = read_meta(STORED / "finished_c4ec143" / "checkpoints" / "best")["comparer"]

    @cases(num_cases)
    @given(data=st.data())
    def damage(data: st.DataObject) -> None:
        recipe = edited_values(data.draw, meta)
        with pytest.MonkeyPatch.context() as patch:
            target = "lmol.model.vlm.comparer.build_comparer"
            patch.setattr(target, lambda *arguments: None)
            attempt("edited", lambda: build_model(recipe), ("meta.json",))

    damage()


@pytest.mark.parametrize("num_cases", SIZES)
def test_training_states(
    tmp_path: Path, attempts: Callable[[str, Path], Attempts], num_cases: int
) -> None:
    run = Path(shutil.copytree(STORED / "killed", tmp_path / "run"))
    [state] = states_of(run)
    attempt = attempts("training states", tmp_path)
    names = sorted(path.name for path in state.iterdir())

    @cases(num_cases)
    @given(data=st.data(), name=st.sampled_from(names), signed=st.booleans())
    def damage(data: st.DataObject, name: str, signed: bool) -> None:
        file, sums = state / name, state / "checksums.json"
        with changed(sums), changed(file):
            whole = file.read_bytes()
            edit = file.suffix == ".json" and data.draw(st.booleans())
            file.write_bytes(
                edited_text(data.draw, file) if edit else damaged_bytes(data.draw, whole)
            )
            if signed and file != sums:
                sign(state)
            same = file.read_bytes() == whole
            found = attempt(
                f"{name} {'signed anew' if signed else 'damaged'}",
                lambda: read_training_state(state),
                (state,),
            )
            assert found is None or same or signed or file == sums

    damage()


@pytest.mark.parametrize("num_cases", SIZES)
def test_run_folders(
    finished: Path,
    attempts: Callable[[str, Path], Attempts],
    num_cases: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Manifest and configuration of a run that a task uses, or that is continued."""
    monkeypatch.chdir(finished.parents[2])
    attempt = attempts("run folders", finished.parents[2])
    overrides = {
        task: [f"task={task}", f"{key}={finished}"]
        for task, key in (("evaluate", "run"), ("train", "resume"))
    }
    with initialize_config_module(CONF, version_base="1.3"):
        values = {task: compose("config", given) for task, given in overrides.items()}
    config = load_config("task=evaluate", f"run={finished}", saved=saved_runs)

    def use(name: str) -> None:
        for past in find_runs(str(finished), None) + find_runs(None, None):
            past.checkpoint("best")
        if name == "config.yaml":
            check(with_saved(values["evaluate"].copy(), overrides["evaluate"], saved_runs))

    def resume() -> None:
        unfinished_runs(config)
        past, _ = run_to_resume(str(finished))
        saved = (past.path, past.config(), Path())
        with_resumed(values["train"].copy(), overrides["train"], saved)
        refuse_to_continue(past, config)

    @cases(num_cases // 2)
    @given(data=st.data(), name=st.sampled_from(["manifest.json", "config.yaml"]))
    def damage(data: st.DataObject, name: str) -> None:
        file = finished / name
        with changed(file):
            edit = data.draw(st.booleans())
            whole = file.read_bytes()
            file.write_bytes(
                edited_text(data.draw, file) if edit else damaged_bytes(data.draw, whole)
            )
            attempt(f"{name}, used", partial(use, name), (finished, "outputs", KEYS))
            attempt(f"{name}, continued", resume, (finished, KEYS))

    damage()
