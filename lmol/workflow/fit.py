"""Training of the model of a session: monitor, Trainer and checkpoints."""

from __future__ import annotations

import logging
import shutil

import torch
from transformers import TrainerCallback

from lmol.audit.monitor import Monitor, open_monitor
from lmol.audit.monitored import MonitoredTraining
from lmol.audit.rules import FROZEN
from lmol.config import instantiate
from lmol.data.collator import PairDataset
from lmol.errors import HealthError
from lmol.evaluation.plots import plot_learning_curves
from lmol.runs.run_folder import RunFolder
from lmol.system.signals import Stopped
from lmol.training.arguments import TrainerSettings, TrainingData
from lmol.training.callbacks import ProgressBar, RunLog
from lmol.training.states import StateFolder, offering_earlier, read_training_state
from lmol.training.trainer import ComparisonTrainer
from lmol.training.workers import worker_failures
from lmol.workflow.checkpoints import complete_stopped
from lmol.workflow.session import Session
from lmol.workflow.validation import Validator

log = logging.getLogger(__name__)


def fit(session: Session, validator: Validator) -> tuple[float, float]:
    """Train, or continue a training, and leave the checkpoints `best` and `last`.

    Returns the best validation metric and the duration of training in seconds. Raises HealthError
    if a rule stopped the run; `last` then holds the last weights without a finding.
    """
    run = session.run
    monitor = monitor_of(session)
    record = RunLog(run.append_metrics, session.tracker)
    trainer = trainer_of(session, monitor, validator, [record], saved=True)
    try:
        seconds = train(trainer, monitor, run)
    except Stopped:
        trainer.keep_last()
        raise
    except HealthError:
        if FROZEN not in monitor.findings.entries and trainer.save_last_good():
            complete_stopped(session, validator)
        elif run.writes:  # the validated weights already had a finding
            shutil.rmtree(trainer.folder / "last", ignore_errors=True)
        raise
    finally:
        if record.records:
            plot_learning_curves(record.records, run.folder("plots") / "learning_curves.png")
    trainer.save_as("last")
    assert trainer.state.best_metric is not None, "the last step is always validated"
    return trainer.state.best_metric, seconds


def monitor_of(session: Session, *, every_step: bool = False) -> Monitor:
    """Return the monitor of the session's training. every_step: audit every step."""
    config, fold = session.config, session.fold
    training = MonitoredTraining(
        model=session.model,
        train=config.train,
        optim=config.optim,
        audit=config.audit,
        training_pairs=fold.training_pairs,
        validation_pairs=fold.validation_pairs,
        theta=config.data.theta,
        explain=lambda: broken_images(session),
        every_step=every_step,
    )
    return open_monitor(training, session.run, session.tracker)


def broken_images(session: Session) -> str:
    """Name the training images whose pixels or features are not finite, if any."""
    names = session.fold.split.train["image"].tolist()
    broken = [name for name in names if not torch.isfinite(session.images[name]).all()]
    return f"; not finite are the image(s) {', '.join(broken[:5])}" if broken else ""


def trainer_of(
    session: Session,
    monitor: Monitor,
    validator: Validator,
    callbacks: list[TrainerCallback],
    *,
    saved: bool = False,
) -> ComparisonTrainer:
    """Build the Trainer named by train.trainer. saved: its state is saved, and may be continued."""
    config, images, state = session.config, session.images, session.run.state
    trainer: ComparisonTrainer = instantiate(config.train.trainer, "train.trainer")(
        model=session.model,
        settings=TrainerSettings(
            train=config.train,
            optim=config.optim,
            seed=session.seed,
            folder=session.run.folder("checkpoints"),
            states=StateFolder(session.run) if saved else None,
            resumed=read_training_state(state) if saved and state else None,
        ),
        data=TrainingData(
            dataset=PairDataset(session.fold.training_pairs, images),
            collator=instantiate(config.train.collator, "train.collator", image_key=images.key),
            validate=validator.metrics,
        ),
        monitor=monitor,
        callbacks=callbacks,
    )
    return trainer


def train(trainer: ComparisonTrainer, monitor: Monitor, run: RunFolder) -> float:
    """Train to the end or to an error; in both cases write the health report into the manifest.

    Returns seconds, of earlier processes too. Raises HealthError if a rule stops the run, and
    TrainingError if a worker died or no longer answers.
    """
    bar = ProgressBar()
    trainer.add_callback(bar)
    try:
        with worker_failures(), offering_earlier(run.state):
            trainer.train()
    finally:
        try:
            bar.close()
            _report(monitor, run)
        finally:
            trainer.steps.close()
    monitor.stop_where_pending()
    return trainer.saver.seconds


def _report(monitor: Monitor, run: RunFolder) -> None:
    report = monitor.close()
    run.note(health=report)
    found = ", ".join(f"{one['rule']} ({one['severity']})" for one in report["findings"])
    log.info("Health: %d steps, %s", report["steps"], found or "nothing found")
