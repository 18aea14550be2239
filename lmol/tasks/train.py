"""task=train, the main job: prepare pairs, train, judge the held-out fold, rank it, save it all."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pandas as pd
import torch
from transformers import TrainerCallback, set_seed

from lmol.config import Config, instantiate
from lmol.data.dataset import PairDataset
from lmol.data.preparation import PreparedFold
from lmol.errors import HealthError
from lmol.evaluation.plots import plot_learning_curves
from lmol.evaluation.ranked import Validation
from lmol.model.adapter import trainable_summary, trainable_table
from lmol.model.checkpoint import load_checkpoint
from lmol.model.comparer import Comparer, build_comparer
from lmol.model.device import require_device
from lmol.model.features import ImageStore, PixelImages, cache_features, features_of
from lmol.model.references import References
from lmol.ranking.pairing import spread_references
from lmol.tasks.held_out import judge_held_out, judge_validation, save, validation_metrics
from lmol.tasks.prepare import prepare_fold
from lmol.tracking.progress import progress
from lmol.tracking.run_folder import RunFolder
from lmol.tracking.tracker import Tracker, open_tracker, require_tracking
from lmol.training.callbacks import ProgressBar, RunLog
from lmol.training.trainer import ComparisonTrainer
from lmol.training.watching import Watching, watch

log = logging.getLogger(__name__)


def run(config: Config, run: RunFolder) -> float:
    """Returns the best validation metric: of training-fold images, never of the held-out fold."""
    require_device(config)
    require_tracking(config)
    with open_tracker(config, run) as tracker:
        return train_and_judge(config, run, tracker)


def train_and_judge(config: Config, run: RunFolder, tracker: Tracker) -> float:
    """The whole main job, told to the tracker too."""
    seed_everything(config)
    prepared = prepare_fold(config, run)
    comparer = build(config)
    show_trainable(comparer, run)
    split = prepared.split
    images = image_store(config, comparer, split.train, split.validation, split.held_out)
    best, train_seconds = fit(config, run, comparer, prepared, images, tracker)
    validation = complete_checkpoints(config, run, comparer, prepared, images)
    start = time.monotonic()
    conclusion = judge_held_out(config, comparer, prepared, images, validation, run.path)
    times = {"train_seconds": train_seconds, "eval_seconds": time.monotonic() - start}
    save(run, conclusion, prepared.split.held_out, times)
    tracker.summary({**conclusion.metrics, **times})
    return best


def seed_everything(config: Config) -> None:
    """Python, NumPy and torch from the fold's seed; the Trainer seeds its workers from it too."""
    if config.threads:
        torch.set_num_threads(config.threads)
    set_seed(config.seed + config.fold.index)


def build(config: Config) -> Comparer:
    """The comparer that the configuration describes, untrained."""
    backbone = instantiate(config.model.backbone)
    comparer = build_comparer(backbone, config.model, config.data.question, config.data.answers)
    if config.train.activation_checkpointing:
        comparer.enable_activation_checkpointing()
    return comparer


def show_trainable(comparer: Comparer, run: RunFolder) -> None:
    """Save every trained tensor's name, shape, group and count; print them layer by layer alike."""
    table = trainable_table(comparer)
    run.write_table("trainable.csv", table)
    lines = trainable_summary(table).to_string(index=False).splitlines()
    log.info("Trained, everything else frozen:\n%s", "\n".join(lines))


def image_store(config: Config, comparer: Comparer, *tables: pd.DataFrame) -> ImageStore:
    """The images of score tables, as cached vision features or as pixels read when asked for."""
    images = pd.concat(tables, ignore_index=True)
    if not config.model.cache_features:
        return PixelImages(comparer.base.processor.image_processor, images)
    with progress("Vision features", len(images), "images") as advance:
        return cache_features(comparer.base, images, advance)


def fit(
    config: Config,
    run: RunFolder,
    comparer: Comparer,
    prepared: PreparedFold,
    images: ImageStore,
    tracker: Tracker,
) -> tuple[float, float]:
    """Train, and leave checkpoints `best` and `last`.

    Returns the best validation metric and the seconds that training took. Raises HealthError where
    the run was stopped; `last` then holds the last weights with which nothing was wrong.
    """
    watching = watched(config, run, comparer, prepared, images, tracker)
    record = RunLog(run.append_metrics, tracker)
    trainer = trainer_of(config, run, comparer, prepared, images, watching, [record])
    try:
        seconds = train(trainer, watching, run)
    except HealthError:
        if trainer.save_last_good():
            complete_checkpoints(config, run, comparer, prepared, images)
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
    comparer: Comparer,
    prepared: PreparedFold,
    images: ImageStore,
    tracker: Tracker,
    *,
    every: bool = False,
) -> Watching:
    """What watches the training of this configuration; every: audit each step."""
    return watch(
        comparer,
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
    comparer: Comparer,
    prepared: PreparedFold,
    images: ImageStore,
    watching: Watching,
    callbacks: list[TrainerCallback],
) -> ComparisonTrainer:
    """The Trainer that the configuration names."""
    trainer: ComparisonTrainer = instantiate(config.train.trainer)(
        comparer=comparer,
        config=config.train,
        optim=config.optim,
        seed=config.seed + config.fold.index,
        folder=run.folder("checkpoints"),
        dataset=PairDataset(prepared.training_pairs, images),
        collator=instantiate(config.train.collator, image_key=images.key),
        validate=lambda: validation_metrics(config, comparer, prepared, images),
        watching=watching,
        callbacks=callbacks,
    )
    return trainer


def train(trainer: ComparisonTrainer, watching: Watching, run: RunFolder) -> float:
    """Train to the end, or to an error; either way the health report goes into the manifest.

    Returns seconds. Raises HealthError where the run is to be stopped.
    """
    bar = ProgressBar()
    trainer.add_callback(bar)
    start = time.monotonic()
    try:
        trainer.train()
    finally:
        bar.close()
        report = watching.close()
        run.note(health=report)
        told = ", ".join(f"{found['rule']} ({found['severity']})" for found in report["findings"])
        log.info("Health: %d steps, %s", report["steps"], told or "nothing found")
    watching.refuse_errors()
    return time.monotonic() - start


def complete_checkpoints(
    config: Config, run: RunFolder, comparer: Comparer, prepared: PreparedFold, images: ImageStore
) -> Validation:
    """Give `last` and `best` what places other images on the score scale; leave `best` loaded.

    Before held-out images are judged, which may take long and be stopped.
    """
    references = chosen_references(config, comparer, prepared, images)
    judged: dict[int, Validation] = {}
    folders = [run.path / "checkpoints" / kind for kind in ("last", "best")]
    for folder in filter(Path.is_dir, folders):  # a run that was stopped may have no best
        facts = load_checkpoint(comparer, folder)
        if facts["step"] not in judged:  # the last step is often the best
            judged[facts["step"]] = judge_validation(config, comparer, prepared, images)
        validation = judged[facts["step"]]
        validation.save(folder)
        if references is not None:
            references.save(folder)
    best = facts["best_value"]
    told = "nothing chosen yet" if best is None else f"best {facts['metric']} {best:.4f}"
    log.info("Weights of step %s (%s)", facts["step"], told)
    return validation


def chosen_references(
    config: Config, comparer: Comparer, prepared: PreparedFold, images: ImageStore
) -> References | None:
    """Validation images spread over the scores; None where no references are wanted."""
    validation = prepared.split.validation
    num = min(config.ranking.references, len(validation))
    if num == 0:
        return None
    scores = validation["score"].to_numpy()
    rows = spread_references(scores, num)
    names = validation["image"].iloc[rows].tolist()
    features = features_of(comparer.base, images, names).cpu()
    return References(names=names, scores=scores[rows], features=features)
