"""Training and evaluation from a notebook or a program, without a command line."""

from __future__ import annotations

from pathlib import Path

from lmol.config import Config, load_config
from lmol.errors import LmolError
from lmol.model.device import require_device
from lmol.runs.past_runs import one_run, saved_runs
from lmol.runs.run_folder import RunFolder
from lmol.tracking.opening import open_tracker, require_tracking
from lmol.workflow.evaluation import EvaluationResult
from lmol.workflow.past_fold import evaluate_past_fold
from lmol.workflow.training import Trained, train_and_evaluate


def train(config: Config, folder: str | Path) -> Trained:
    """Run the main job, as `python -m lmol.run hydra.run.dir=folder` does.

    config: from lmol.load_config. Returns the trained model and its results; the folder becomes a
    run folder. Raises the errors of lmol.errors.
    """
    if config.task.name != "train":
        raise LmolError(
            "task",
            got=config.task.name,
            expected="train",
            remedy="leave task= out of load_config, or call lmol.evaluate",
        )
    _require(config)
    with RunFolder.claim(Path(folder), config) as run, open_tracker(config, run) as tracker:
        return train_and_evaluate(config, run, tracker)


def evaluate(run: str | Path, folder: str | Path, *overrides: str) -> EvaluationResult:
    """Judge the held-out fold of a finished run again, as task=evaluate does.

    run: its folder. folder: receives the results. overrides: such as "checkpoint=last" or
    "eval.pairs=1000"; other settings are those of the run. Raises the errors of lmol.errors.
    """
    config = load_config("task=evaluate", f"run='{run}'", *overrides, saved=saved_runs)
    _require(config)
    past = one_run(config.run)
    with RunFolder.claim(Path(folder), config) as opened, open_tracker(config, opened) as tracker:
        opened.note(run=config.run, checkpoint=config.checkpoint.value, folds=[past.fold])
        return evaluate_past_fold(config, past, opened, tracker)


def _require(config: Config) -> None:
    require_device(config)
    require_tracking(config)
