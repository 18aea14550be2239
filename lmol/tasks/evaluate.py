"""task=evaluate: judge the held-out fold of a finished run anew, or all folds of a sweep."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import pandas as pd

from lmol.config import Config, instantiate
from lmol.data.folds import Split, split_hash
from lmol.data.preparation import PreparedFold, pair_fold
from lmol.errors import DataError, RunFolderError
from lmol.evaluation.metrics import Metrics
from lmol.model.checkpoint import load_checkpoint
from lmol.model.device import require_device
from lmol.model.pair_model import PairModel
from lmol.runs.past_runs import PastRun, find_runs
from lmol.runs.result_folder import ResultFolder
from lmol.runs.run_folder import RunFolder
from lmol.tasks.prepare import IMAGES, load_folds
from lmol.tasks.train import build, image_store, seed_everything
from lmol.tracking.opening import open_tracker
from lmol.tracking.tracker import Tracker
from lmol.workflow.checkpoints import PAIR_BYTES
from lmol.workflow.held_out import judge_held_out, judge_validation, save
from lmol.workflow.overall import save_overall
from lmol.workflow.tracked import tell_conclusion

log = logging.getLogger(__name__)

SAME = ["image", "score", "content"]
"""What must be as it was of every held-out image."""


def run(config: Config, run: RunFolder) -> float:
    """Returns the accuracy, over all folds where there are several."""
    require_device(config)
    runs = find_runs(config.run, None)
    run.note(run=config.run, checkpoint=config.checkpoint.value, folds=[past.fold for past in runs])
    parts = {past.fold: run.part(f"fold_{past.fold}") for past in runs} if len(runs) > 1 else {}
    with open_tracker(config, run) as tracker:
        metrics = [evaluate(config, past, run, parts.get(past.fold), tracker) for past in runs]
    if parts and run.writes:
        save_overall(run, parts)
    return sum(float(found["accuracy"] or 0.0) for found in metrics) / len(metrics)


def evaluate(
    config: Config, past: PastRun, run: RunFolder, part: ResultFolder | None, tracker: Tracker
) -> Metrics:
    """Judge one fold with the run that held it out; write into `part` of the folder, or into it."""
    results = run if part is None else part
    config = replace(config, fold=replace(config.fold, index=past.fold))
    seed_everything(config)
    prepared = held_out_fold(config, past, run)
    model, step = trained_at(config, past)
    split = prepared.split
    run.require_space(PAIR_BYTES * len(prepared.held_out_pairs), "answers and pictures")
    images = image_store(config, model, split.validation, split.held_out)
    start = time.monotonic()
    validation = judge_validation(config, model, prepared, images)
    conclusion = judge_held_out(config, model, prepared, images, validation, past.path)
    seconds = {"eval_seconds": time.monotonic() - start}
    if results.writes:
        save(results, conclusion, split.held_out, seconds)
    prefix = "" if part is None else f"fold_{past.fold}/"
    tell_conclusion(tracker, step, conclusion, split.held_out, results.path, seconds, prefix)
    return conclusion.metrics


def held_out_fold(config: Config, past: PastRun, run: RunFolder) -> PreparedFold:
    """The fold that a run held out and its pairs."""
    split = same_split(config, past, run)
    return pair_fold(split, instantiate(config.data.schedule), config)


def held_out_images(config: Config, past: PastRun, run: RunFolder) -> pd.DataFrame:
    """The score table, with content, of the images that a run held out."""
    return same_split(config, past, run).held_out


def same_split(config: Config, past: PastRun, run: RunFolder) -> Split:
    """The split that a run was made with. Raises DataError where the data are not the same now."""
    split = load_folds(config, run)[past.fold - 1]
    before = images_of(past)
    held_out = before.loc[before["part"] == "held_out", SAME].reset_index(drop=True)
    same = split_hash(split) == past.manifest.get("split_hash")
    if not same or not held_out.equals(split.held_out[SAME]):
        raise DataError(
            "data",
            got=f"other images, scores or folds than {past.path.name} was trained with",
            expected="the same data, so that what it held out is held out",
            remedy="restore the data, or name their folder with data.root=...",
        )
    return split


def images_of(past: PastRun) -> pd.DataFrame:
    """The images of a run: image, part (train, validation, held_out), score, group, content."""
    try:
        return pd.read_csv(past.path / IMAGES, dtype={"image": str}, keep_default_na=False)
    except OSError as error:
        raise RunFolderError(
            past.path,
            got=f"no {IMAGES} ({error})",
            expected="a run that was trained with this version",
            remedy="train it again",
        ) from error


def trained(config: Config, past: PastRun) -> PairModel:
    """The model of a run with its trained weights."""
    return trained_at(config, past)[0]


def trained_at(config: Config, past: PastRun) -> tuple[PairModel, int]:
    """The model of a run with its trained weights, and the step that they are of."""
    model = build(config)
    folder = past.checkpoint(config.checkpoint.value)
    facts = load_checkpoint(model, folder)
    log.info("%s: step %s, %s %s", folder, facts["step"], facts["metric"], facts["best_value"])
    return model, int(facts["step"])
