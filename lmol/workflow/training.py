"""The main job from data to saved results, for task=train and lmol.train."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from lmol.config import Config
from lmol.model.pair_model import PairModel
from lmol.model.trainable import trainable_summary, trainable_table
from lmol.runs.run_folder import RunFolder
from lmol.tracking.tracker import Tracker
from lmol.workflow.checkpoints import complete_checkpoints, space_of_training
from lmol.workflow.evaluation import EvaluationResult, evaluate_held_out, save_result
from lmol.workflow.fit import fit
from lmol.workflow.folds import prepare_fold
from lmol.workflow.session import Session, image_store, seed_everything, untrained_model
from lmol.workflow.stepless import fit_at_once, takes_no_steps
from lmol.workflow.tracking import track_result
from lmol.workflow.validation import Validator

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A finished training. best: its best validation metric; result: of the held-out fold."""

    session: Session
    best: float
    result: EvaluationResult


def train_and_evaluate(config: Config, run: RunFolder, tracker: Tracker) -> Trained:
    """Train, judge the held-out fold with the best checkpoint, and save and track the results."""
    session = training_session(config, run, tracker, saved=True)
    validator = Validator(session)
    fitted = fit_at_once if takes_no_steps(session) else fit
    best, train_seconds = fitted(session, validator)
    validation, step = complete_checkpoints(session, validator)
    start = time.monotonic()
    result = evaluate_held_out(session, validation, step, run.path)
    seconds = {"train_seconds": train_seconds, "eval_seconds": time.monotonic() - start}
    if run.writes:
        save_result(run, result, seconds)
    track_result(tracker, result, run.path, seconds)
    if config.tracking.log_model:
        name = f"{config.name}_fold_{config.fold.index}"
        tracker.artifact(run.path / "checkpoints" / "best", name)
    return Trained(session=session, best=best, result=result)


def training_session(
    config: Config, run: RunFolder, tracker: Tracker, *, saved: bool = False
) -> Session:
    """Prepare the configured fold, and build the untrained model.

    saved: checkpoints will be written; raise DiskError at once if the disk has no room for them.
    """
    seed_everything(config)
    fold = prepare_fold(config, run)
    model = untrained_model(config)
    show_trainable(model, run)
    if saved:
        run.require_space(*space_of_training(config, model, fold))
    split = fold.split
    images = image_store(config, model, split.train, split.validation, split.held_out)
    return Session(config=config, run=run, tracker=tracker, fold=fold, model=model, images=images)


def show_trainable(model: PairModel, run: RunFolder) -> None:
    """Save every trained tensor's name, shape, group and count; log them by kind of layer."""
    table = trainable_table(model)
    run.write_table("trainable.csv", table)
    summary = trainable_summary(table).to_string(index=False)
    log.info("Trained, everything else frozen:\n%s", summary)
