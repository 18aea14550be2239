"""A run of the built-in example that a fault can be planted in, and what is found in it.

The fault stands in the real thing: its configuration, pairs, model, or Trainer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from accelerate.state import AcceleratorState
from transformers import TrainerCallback

from lmol.audit.monitor import Monitor
from lmol.config import Config, load_config
from lmol.data.preparation import PreparedFold
from lmol.errors import HealthError
from lmol.model.features import ImageStore
from lmol.model.pair_model import PairModel
from lmol.runs.run_folder import RunFolder, SilentFolder
from lmol.tracking.tracker import Tracker
from lmol.training.trainer import ComparisonTrainer
from lmol.workflow.fit import monitor_of, trainer_of
from lmol.workflow.folds import load_folds
from lmol.workflow.session import Session, image_store, seed_everything, untrained_model
from lmol.workflow.validation import Validator

SMALL = (
    "data.source.num_images=100",
    "data.schedule.num_pairs=480",
    "audit.interval=10",
    "train.validate_every=0.5",
    "threads=1",
)
"""30 steps of 16 pairs: enough for whatever shows at once."""

LONGER = (
    "data.source.num_images=250",
    "data.schedule.num_pairs=1920",
    "train.health.window=32",
)
"""120 steps, for what shows by and by."""


@dataclass(eq=False)
class Case:
    """A run that is ready to be trained; a fault changes some of it."""

    session: Session
    callbacks: list[TrainerCallback] = field(default_factory=list)

    @property
    def comparer(self) -> Any:
        """The model."""
        return self.session.model

    @property
    def projector(self) -> Any:
        """The trained projector."""
        return self.comparer.base.model.model.multi_modal_projector.modules_to_save["default"]

    @property
    def pairs(self) -> pd.DataFrame:
        """The training pairs."""
        return self.session.fold.training_pairs

    def replace_pairs(self, pairs: pd.DataFrame) -> None:
        """Train on other pairs."""
        self.session.fold.training_pairs = pairs

    def relabel(self, labels: Any) -> None:
        """Give the training pairs other labels."""
        self.replace_pairs(self.pairs.assign(label=labels))


Plant = Callable[[Case], None]
PlantInTrainer = Callable[[ComparisonTrainer, Case], None]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """name: in words; rules: those that may find it; plant, in_trainer: what is done to the run.

    overrides: of the configuration. since: the step at which it begins.
    """

    name: str
    rules: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    plant: Plant = lambda case: None
    in_trainer: PlantInTrainer = lambda trainer, case: None
    since: int = 0


configuration = cache(load_config)


def prepare(*overrides: str) -> Case:
    """Return the built-in example, small, ready to be trained."""
    return Case(
        bench_session(configuration(*SMALL, *overrides), SilentFolder(Path(tempfile.gettempdir())))
    )


Build = Callable[[Config, PreparedFold], tuple[PairModel, ImageStore]]


def default_model(config: Config, fold: PreparedFold) -> tuple[PairModel, ImageStore]:
    """Build the configured model, and read the images that are trained on and validated with."""
    model = untrained_model(config)
    return model, image_store(config, model, fold.split.train, fold.split.validation)


def bench_session(config: Config, run: RunFolder, make: Build = default_model) -> Session:
    """Return a training session of the configured fold; make: builds model and images."""
    seed_everything(config)
    fold = load_folds(config, SilentFolder(run.path))[config.fold.index - 1]
    model, images = make(config, fold)
    return Session(config=config, run=run, tracker=Tracker(), fold=fold, model=model, images=images)


def bench_trainer(
    session: Session, *callbacks: TrainerCallback
) -> tuple[ComparisonTrainer, Monitor]:
    """Return the Trainer of a session, and its monitor."""
    monitor = monitor_of(session)
    return trainer_of(session, monitor, Validator(session), list(callbacks)), monitor


def found(fault: Fault, *overrides: str) -> dict[str, Any]:
    """Plant the fault, train, and return the findings by rule, and how the training ended."""
    case = prepare(*fault.overrides, *overrides)
    fault.plant(case)
    with tempfile.TemporaryDirectory() as folder:
        session = replace(case.session, run=SilentFolder(Path(folder)))
        trainer, monitor = bench_trainer(session, *case.callbacks)
        fault.in_trainer(trainer, case)
        ended = "done"
        try:
            trainer.train()
        except HealthError:
            ended = "stopped"
        finally:
            AcceleratorState._reset_state()
            report = monitor.close()
        try:
            monitor.stop_where_pending()
        except HealthError:
            ended = "stopped"
    by_rule = {entry["rule"]: entry for entry in report["findings"]}
    return {"ended": ended, "steps": report["steps"], "findings": by_rule}
