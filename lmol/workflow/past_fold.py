"""Evaluate the trained model of an earlier run on the fold that it held out."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from lmol.config import Config
from lmol.evaluation.ranked import Validation
from lmol.runs.past_runs import PastRun
from lmol.runs.result_folder import ResultFolder
from lmol.runs.run_folder import RunFolder
from lmol.tracking.tracker import Tracker
from lmol.workflow.checkpoints import PAIR_BYTES
from lmol.workflow.evaluation import EvaluationResult, evaluate_held_out, save_result
from lmol.workflow.folds import same_fold
from lmol.workflow.session import Session, image_store, seed_everything, trained_model
from lmol.workflow.tracking import track_result
from lmol.workflow.validation import judge_validation

log = logging.getLogger(__name__)


def evaluate_past_fold(
    config: Config,
    past: PastRun,
    run: RunFolder,
    tracker: Tracker,
    part: ResultFolder | None = None,
) -> EvaluationResult:
    """Judge one fold with the run that held it out.

    part: the part of the run folder that receives the results; None: the folder itself.
    """
    results = run if part is None else part
    session, step = past_session(config, past, run, tracker)
    num_pairs = len(session.fold.held_out_pairs)
    run.require_space(PAIR_BYTES * num_pairs, "answers and pictures")
    start = time.monotonic()
    validation = stored_validation(session, past) or judge_validation(session)
    result = evaluate_held_out(session, validation, step, past.path)
    seconds = {"eval_seconds": time.monotonic() - start}
    if results.writes:
        save_result(results, result, seconds)
    prefix = "" if part is None else f"fold_{past.fold}/"
    track_result(tracker, result, results.path, seconds, prefix)
    return result


def past_session(
    config: Config, past: PastRun, run: RunFolder, tracker: Tracker
) -> tuple[Session, int]:
    """Return the fold of a run with its trained model, and the step of the weights."""
    config = replace(config, fold=replace(config.fold, index=past.fold))
    seed_everything(config)
    fold = same_fold(config, past, run)
    model, step = trained_model(config, past)
    images = image_store(config, model, fold.split.validation, fold.split.held_out)
    session = Session(
        config=config, run=run, tracker=tracker, fold=fold, model=model, images=images
    )
    return session, step


def stored_validation(session: Session, past: PastRun) -> Validation | None:
    """Return the validation answers in the checkpoint, if they are about these pairs."""
    found = Validation.load(past.checkpoint(session.config.checkpoint.value))
    pairs = session.fold.validation_pairs
    names = ["img1", "img2", "label"]
    same = found is not None and found.pairs[names].equals(pairs[names])
    return found if same else None
