"""resume=<folder> and resume=auto: what is continued, what is refused, and what the user reads."""

import json
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from filelock import FileLock

from experiments.bench.results import differing
from lmol.config import load_config
from lmol.errors import RunFolderError
from lmol.runs.past_runs import PastRun
from lmol.runs.state_folder import states_of
from lmol.runs.unfinished import refuse_to_continue
from lmol.system.signals import Stopped
from lmol.training.state_files import write_state
from lmol.training.states import read_training_state
from lmol.workflow import validation
from tests.forked import killed_in
from tests.tasks.conftest import SMALL, run_in
from tests.tracking.wandb_file import stored_runs

TRAINED = (*SMALL, "train.save_every=1", "audit=off")
STEP = "lmol.training.saving:StateSaver.end_of_step"
RUN = Path("outputs/one/run")
AS_RUN = f"hydra.run.dir={RUN}"


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder with a whole run, and with one that was killed after step 3 of 12."""
    folder = run_in(tmp_path_factory.mktemp("resume"), *TRAINED, "hydra.run.dir=whole")
    killed_in(folder, STEP, 3, *TRAINED, AS_RUN, after=True)
    return folder


@pytest.fixture
def killed(command, begun):
    """A copy of the killed run in the test's own folder."""
    shutil.copytree(begun / RUN, RUN)
    shutil.copytree(begun / "outputs/data", "outputs/data")
    return RUN


def manifest(run):
    return json.loads((run / "manifest.json").read_text())


def change(run, **facts):
    (run / "manifest.json").write_text(json.dumps(manifest(run) | facts))


def test_auto_continues_the_newest_unfinished_run_of_the_recipe(command, killed, begun):
    shutil.copytree(killed, "outputs/one/other")
    change(Path("outputs/one/other"), start="2000-01-01")
    assert command(*TRAINED, "resume=auto") == (0, "")
    facts = manifest(killed)
    assert (facts["status"], len(facts["attempts"])) == ("done", 1)
    assert facts["attempts"][0]["status"] == "running"
    assert differing(begun / "whole", killed) == []
    assert states_of(killed) == []  # a finished run needs no state
    assert manifest(Path("outputs/one/other"))["status"] == "running"


def test_auto_begins_a_run_if_there_is_none_to_continue(command, killed):
    assert command(*TRAINED, "resume=auto", "seed=7", "hydra.run.dir=outputs/new/run") == (0, "")
    assert "attempts" not in manifest(Path("outputs/new/run"))
    assert manifest(killed)["status"] == "running"


@pytest.mark.parametrize(
    ("settings", "facts", "message"),
    [
        (["optim.lr_lora=1"], {}, "optim.lr_lora 1.0 where the run has "),
        ([], {"num_processes": 2}, "1 process(es) where the run has 2"),
        ([], {"versions": {}}, " where the run has None"),
        ([], {"status": "done"}, "got a finished run"),
        ([], {"status": "failed: health"}, "got a run with status failed: health"),
        ([], {"task": "audit"}, "got the folder of task=audit"),
    ],
)
def test_what_would_lead_elsewhere_is_refused(killed, settings, facts, message):
    change(killed, **facts)
    with pytest.raises(RunFolderError, match=re.escape(message)):
        refuse_to_continue(PastRun.read(killed), load_config(*TRAINED, *settings))


def test_a_run_that_another_host_still_trains_is_refused(killed):
    change(killed, host="elsewhere")
    config = load_config(*TRAINED)
    refuse_to_continue(PastRun.read(killed), config)
    with (
        FileLock(killed / ".running.lock"),
        pytest.raises(RunFolderError, match="got a run that process"),
    ):
        refuse_to_continue(PastRun.read(killed), config)


def test_resume_is_for_a_single_training(command, killed):
    assert "resume only with task=train" in command("task=audit", f"resume={killed}")[1]
    assert "a multirun continues its own jobs" in command("-m", "fold=1,2", "resume=auto")[1]


def test_a_damaged_state_is_found_and_the_one_before_it_offered(command, killed, begun):
    before, newest = states_of(killed)
    file = newest / "tensors.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    code, errors = command(f"resume={killed}")
    assert code == 2
    assert "tensors.safetensors does not have its checksum" in errors
    assert f"resume={before.absolute()}" in errors
    assert command(f"resume={before}") == (0, "")
    assert differing(begun / "whole", killed) == []


def test_the_state_before_is_offered_too_if_a_growing_file_is_too_short(command, killed):
    before, newest = states_of(killed)
    state = read_training_state(newest)
    state["parts"]["files"] = {"manifest.json": 10**9}
    shutil.rmtree(newest)
    write_state(newest, state)
    code, errors = command(f"resume={killed}")
    assert code == 2
    assert "manifest.json: got a file that is missing, elsewhere or shorter" in errors
    assert f"resume={before.absolute()}" in errors


@pytest.mark.parametrize("part", ["optimizer", "random", "parts", "logged"])
def test_a_state_without_one_of_its_parts_is_refused(command, killed, part):
    newest = states_of(killed)[-1]
    state = read_training_state(newest)
    shutil.rmtree(newest)
    write_state(newest, {name: value for name, value in state.items() if name != part})
    code, errors = command(f"resume={killed}")
    assert code == 2
    assert f"a state that does not fit this training (KeyError('{part}'))" in errors


def test_other_data_are_refused(command, killed):
    change(killed, split_hash="of other images")
    code, errors = command(f"resume={killed}")
    assert code == 2
    assert "other images, scores, votes or folds than the run began with" in errors


def test_a_signal_while_validating_saves_a_state_with_the_validation_due(command, begun):
    def stopped(session):
        raise Stopped(signal.SIGUSR1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "judge_validation", stopped)
        code, errors = command(*TRAINED, AS_RUN)
    assert code == 128 + signal.SIGUSR1
    assert "saved: the state after step 6. It goes on with" in errors
    assert errors.rstrip().endswith(f"python -m lmol.run resume={RUN}")
    assert manifest(RUN)["status"] == "interrupted"
    assert command(f"resume={RUN}") == (0, "")
    assert differing(begun / "whole", RUN) == []


def test_a_time_limit_ends_the_run_after_a_step_with_its_own_exit_code(command, begun):
    code, errors = command(*TRAINED, AS_RUN, "train.max_minutes=1e-6")
    assert code == 75
    assert "interrupted by train.max_minutes; saved: the state after step 1." in errors
    assert manifest(RUN)["status"] == "interrupted"
    assert command(f"resume={RUN}", "train.max_minutes=null") == (0, "")
    assert differing(begun / "whole", RUN) == []


def test_a_sweep_continues_its_killed_fold(command, begun, tmp_path):
    sweep = (*TRAINED, "-m", "fold=1,2", "hydra.sweep.dir=sweep")
    killed_in(tmp_path, STEP, 3, *sweep, after=True)
    code, errors = command("resume=sweep/fold_1", "train.max_minutes=1e-6")
    assert (code, errors.splitlines()[-1]) == (75, "  python -m lmol.run resume=sweep/fold_1")
    assert command(*sweep) == (0, "")
    assert "attempts" in manifest(Path("sweep/fold_1"))
    assert "attempts" not in manifest(Path("sweep/fold_2"))
    assert not Path("sweep/unfinished").exists()
    assert differing(begun / "whole", Path("sweep/fold_1")) == []


def test_a_continued_run_has_all_records_in_one_run_of_wandb(command, tmp_path):
    """W&B loses what a killed process had not yet written, so the earlier records come again."""
    killed_in(tmp_path, STEP, 7, *TRAINED, AS_RUN, "tracking=offline", after=True)
    time.sleep(1)  # W&B names a run's folder by the second
    assert command(f"resume={RUN}", "tracking=offline") == (0, "")
    first, second = stored_runs(RUN)
    assert first.folder.name.rpartition("-")[2] == second.run.run_id
    steps = [row["step"] for row in second.history if "train/loss" in row]
    assert steps == [4, 8, 12]
    assert [row["step"] for row in second.history if "validation/accuracy" in row] == [6, 12]
