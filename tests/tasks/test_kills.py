"""A training that is killed at any moment and continued ends with the bits of one that is not."""

from pathlib import Path

import pytest

from experiments.bench.results import differing
from tests.forked import killed_in
from tests.tasks.conftest import SMALL, run_in

TRAINED = (
    *SMALL,
    "train.epochs=2",
    "train.accumulation=2",
    "train.validate_every=0.25",
    "train.save_every=1",
    "train.early_stopping.patience=9",
    "audit.interval=3",
    # A finding at steps 1, 2, 3, 6, 9 and 12: weights are rolled back, learning rates lowered.
    "audit.rules.large_updates.threshold=1e-6",
    "audit.rules.large_updates.action=rollback",
    "train.health.limit=6",
)
STEP = ("lmol.training.saving:StateSaver.end_of_step", 1)
WRITING = ("lmol.training.state_files:_checksum", 2)
REMOVING = ("lmol.training.states:shutil.rmtree", 1)
VALIDATING = ("lmol.workflow.validation:judge_validation", 1)
BEST = ("lmol.model.checkpoint:_replace", 2)
JUDGING = ("lmol.evaluation.part_file:PartFile.append", 1)
RANKING = ("lmol.workflow.evaluation:rank_pairs", 1)
DRAWING = ("lmol.workflow.evaluation:plot_overview", 1)

EVERY_STEP = [STEP] * 12
"""Each process trains one step more and is killed, in both epochs."""

EVERYWHERE = [WRITING, STEP, VALIDATING, BEST, WRITING, STEP, VALIDATING, JUDGING, RANKING, DRAWING]
"""Each process goes on from the last state of those before it, and is killed somewhere else."""

SOME = [WRITING, VALIDATING, BEST, JUDGING]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with the run that is never killed."""
    return run_in(tmp_path_factory.mktemp("kills"), *TRAINED, "hydra.run.dir=whole")


@pytest.mark.parametrize(
    ("moments", "workers"),
    [
        pytest.param(EVERY_STEP, 0, marks=pytest.mark.slow),
        pytest.param(EVERY_STEP, 2, marks=pytest.mark.slow),
        pytest.param(EVERYWHERE, 0, marks=pytest.mark.slow),
        (SOME, 0),
    ],
)
def test_a_killed_run_ends_as_if_it_had_not_been_killed(whole, moments, workers):
    killed = Path(f"killed_{len(moments)}_{workers}")
    workers = f"train.workers={workers}"
    for place, call in moments:
        again = f"resume={killed}" if (whole / killed / "state").exists() else None
        arguments = [again, workers] if again else [*TRAINED, f"hydra.run.dir={killed}", workers]
        killed_in(whole, place, call, *arguments, after=place == STEP[0])
    run_in(whole, f"resume={killed}")
    assert differing(whole / "whole", whole / killed) == []
    assert "rolled back" in (whole / killed / "run.log").read_text()
