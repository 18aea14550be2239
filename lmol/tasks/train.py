"""task=train, the main job: prepare pairs, train, judge the held-out fold, rank it, save it all."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

import pandas as pd
import torch
from transformers import TrainerCallback, set_seed

from lmol.audit.monitor import Watching, watch
from lmol.audit.rules import FROZEN
from lmol.config import Config, instantiate
from lmol.data.dataset import PairDataset
from lmol.data.preparation import PreparedFold
from lmol.errors import HealthError
from lmol.evaluation.plots import plot_learning_curves
from lmol.model.device import require_device
from lmol.model.features import ImageStore, PixelImages, cache_features
from lmol.model.pair_model import PairModel
from lmol.model.spec import ModelSpec
from lmol.model.trainable import trainable_summary, trainable_table
from lmol.runs.run_folder import RunFolder
from lmol.system.progress import progress
from lmol.system.signals import Stopped
from lmol.tasks.prepare import prepare_fold
from lmol.tracking.opening import open_tracker
from lmol.tracking.tracker import Tracker
from lmol.training.callbacks import ProgressBar, RunLog
from lmol.training.kept import keep_last, kept
from lmol.training.trainer import ComparisonTrainer
from lmol.training.workers import worker_failures
from lmol.workflow.checkpoints import complete_checkpoints, complete_stopped, space_of_training
from lmol.workflow.held_out import judge_held_out, save, validation_metrics
from lmol.workflow.tracked import tell_conclusion

log = logging.getLogger(__name__)


def run(config: Config, run: RunFolder) -> float:
    """Returns the best validation metric: of training-fold images, never of the held-out fold."""
    require_device(config)
    try:
        with open_tracker(config, run) as tracker:
            return train_and_judge(config, run, tracker)
    except Stopped as ended:
        ended.kept = kept(run.path / "checkpoints")
        raise


def train_and_judge(config: Config, run: RunFolder, tracker: Tracker) -> float:
    """The whole main job, told to the tracker too."""
    seed_everything(config)
    prepared = prepare_fold(config, run)
    model = build(config)
    show_trainable(model, run)
    split = prepared.split
    run.require_space(*space_of_training(config, model, prepared))
    images = image_store(config, model, split.train, split.validation, split.held_out)
    best, train_seconds = fit(config, run, model, prepared, images, tracker)
    validation, step = complete_checkpoints(config, run, model, prepared, images)
    start = time.monotonic()
    conclusion = judge_held_out(config, model, prepared, images, validation, run.path)
    times = {"train_seconds": train_seconds, "eval_seconds": time.monotonic() - start}
    if run.writes:
        save(run, conclusion, prepared.split.held_out, times)
    tell_conclusion(tracker, step, conclusion, prepared.split.held_out, run.path, times)
    if config.tracking.log_model:
        tracker.artifact(
            run.path / "checkpoints" / "best", f"{config.name}_fold_{config.fold.index}"
        )
    if "swept" not in run.facts:
        log.info("%s", next_steps(run.path))
    return best


def next_steps(run: Path) -> str:
    """What may be typed after a training; a job of a sweep is followed by the next one."""
    return (
        "Next, to rank photos of yours, or to see the run as a page:\n"
        f"  python -m lmol.run task=rank run={run} images=FOLDER\n"
        f"  python -m lmol.run task=report runs={run}"
    )


def seed_everything(config: Config) -> None:
    """Python, NumPy and torch from the fold's seed; the Trainer seeds its workers from it too."""
    if config.threads:
        torch.set_num_threads(config.threads)
    set_seed(config.seed + config.fold.index)


def build(config: Config) -> PairModel:
    """The model that the configuration describes, untrained."""
    spec: ModelSpec = instantiate(config.model)
    frozen = (config.model.get("backbone") or {}).get("weights")
    log.info("Loading the model: %s", frozen or config.model["_target_"])
    model = spec.build(config.data.question, config.data.answers)
    if config.train.activation_checkpointing:
        model.enable_activation_checkpointing()
    return model


def show_trainable(model: PairModel, run: RunFolder) -> None:
    """Save every trained tensor's name, shape, group and count; print them layer by layer alike."""
    table = trainable_table(model)
    run.write_table("trainable.csv", table)
    lines = trainable_summary(table).to_string(index=False).splitlines()
    log.info("Trained, everything else frozen:\n%s", "\n".join(lines))


def image_store(config: Config, model: PairModel, *tables: pd.DataFrame) -> ImageStore:
    """The images of score tables, as cached vision features or as pixels read when asked for."""
    images = pd.concat(tables, ignore_index=True)
    if not config.model["cache_features"]:
        return PixelImages(model.encoder.preprocess, images)
    with progress("Vision features", len(images), "images") as advance:
        return cache_features(model.encoder, images, advance)


def fit(
    config: Config,
    run: RunFolder,
    model: PairModel,
    prepared: PreparedFold,
    images: ImageStore,
    tracker: Tracker,
) -> tuple[float, float]:
    """Train, and leave checkpoints `best` and `last`.

    Returns the best validation metric and the seconds that training took. Raises HealthError where
    the run was stopped; `last` then holds the last weights with which nothing was wrong.
    """
    watching = watched(config, run, model, prepared, images, tracker)
    record = RunLog(run.append_metrics, tracker)
    trainer = trainer_of(config, run, model, prepared, images, watching, [record])
    try:
        seconds = train(trainer, watching, run)
    except Stopped:
        keep_last(trainer)
        raise
    except HealthError:
        if FROZEN not in watching.findings.entries and trainer.save_last_good():
            complete_stopped(config, run, model, prepared, images)
        elif run.writes:  # what a validation kept is of weights with which something was wrong
            shutil.rmtree(trainer.folder / "last", ignore_errors=True)
        raise
    finally:
        if record.records:
            plot_learning_curves(record.records, run.folder("plots") / "learning_curves.png")
    trainer.save_last()
    assert trainer.state.best_metric is not None, "the last step is always validated"
    return trainer.state.best_metric, seconds


def watched(
    config: Config,
    run: RunFolder,
    model: PairModel,
    prepared: PreparedFold,
    images: ImageStore,
    tracker: Tracker,
    *,
    every: bool = False,
) -> Watching:
    """What watches the training of this configuration; every: audit each step."""
    return watch(
        model,
        config.train,
        config.optim,
        config.audit,
        run,
        training_pairs=prepared.training_pairs,
        validation_pairs=prepared.validation_pairs,
        theta=config.data.theta,
        tracker=tracker,
        explain=lambda: broken_images(prepared, images),
        every=every,
    )


def broken_images(prepared: PreparedFold, images: ImageStore) -> str:
    """Names the training images that the model gets as numbers that are not finite, if any."""
    names = prepared.split.train["image"].tolist()
    broken = [name for name in names if not torch.isfinite(images[name]).all()]
    return f"; not finite are the image(s) {', '.join(broken[:5])}" if broken else ""


def trainer_of(
    config: Config,
    run: RunFolder,
    model: PairModel,
    prepared: PreparedFold,
    images: ImageStore,
    watching: Watching,
    callbacks: list[TrainerCallback],
) -> ComparisonTrainer:
    """The Trainer that the configuration names."""
    trainer: ComparisonTrainer = instantiate(config.train.trainer)(
        model=model,
        config=config.train,
        optim=config.optim,
        seed=config.seed + config.fold.index,
        folder=run.folder("checkpoints"),
        dataset=PairDataset(prepared.training_pairs, images),
        collator=instantiate(config.train.collator, image_key=images.key),
        validate=lambda: validation_metrics(config, model, prepared, images),
        watching=watching,
        callbacks=callbacks,
    )
    return trainer


def train(trainer: ComparisonTrainer, watching: Watching, run: RunFolder) -> float:
    """Train to the end, or to an error; either way the health report goes into the manifest.

    Returns seconds. Raises HealthError where the run is to be stopped, and TrainingError where a
    worker died or is silent.
    """
    bar = ProgressBar()
    trainer.add_callback(bar)
    start = time.monotonic()
    try:
        with worker_failures():
            trainer.train()
    finally:
        bar.close()
        report = watching.close()
        run.note(health=report)
        told = ", ".join(f"{found['rule']} ({found['severity']})" for found in report["findings"])
        log.info("Health: %d steps, %s", report["steps"], told or "nothing found")
        trainer.steps.close()
    watching.stop_where_pending()
    return time.monotonic() - start
