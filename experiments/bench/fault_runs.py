"""A run of the embedded default that a fault can be planted in, and what is found in it.

The fault stands in the real thing: its configuration, pairs, model, or Trainer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from accelerate.state import AcceleratorState
from transformers import TrainerCallback

from lmol.config import Config, instantiate, load_config
from lmol.data.preparation import PreparedFold, pair_fold
from lmol.errors import HealthError
from lmol.model.features import ImageStore
from lmol.runs.silent_folder import SilentFolder
from lmol.tasks.prepare import load_folds
from lmol.tasks.train import build, image_store, seed_everything, trainer_of, watched
from lmol.tracking.tracker import Tracker
from lmol.training.trainer import ComparisonTrainer

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

    config: Config
    prepared: PreparedFold
    comparer: Any
    images: ImageStore
    callbacks: list[TrainerCallback] = field(default_factory=list)

    @property
    def projector(self) -> Any:
        """The trained projector."""
        return self.comparer.base.model.model.multi_modal_projector.modules_to_save["default"]

    def relabel(self, labels: Any) -> None:
        """Give the training pairs other labels."""
        pairs = self.prepared.training_pairs.assign(label=labels)
        self.prepared = replace(self.prepared, training_pairs=pairs)


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


def prepare(*overrides: str) -> Case:
    """The embedded default, small, ready to be trained."""
    config = load_config(*SMALL, *overrides)
    seed_everything(config)
    prepared = prepared_fold(config)
    comparer = build(config)
    images = image_store(config, comparer, prepared.split.train, prepared.split.validation)
    return Case(config=config, prepared=prepared, comparer=comparer, images=images)


def prepared_fold(config: Config) -> PreparedFold:
    """The pairs of the configured fold; nothing is written."""
    silent = SilentFolder(Path(tempfile.gettempdir()))
    split = load_folds(config, silent)[config.fold.index - 1]
    return pair_fold(split, instantiate(config.data.schedule), config)


def found(fault: Fault, *overrides: str) -> dict[str, Any]:
    """Plant the fault, train, and tell what was found: first step by rule, and how it ended."""
    case = prepare(*fault.overrides, *overrides)
    fault.plant(case)
    with tempfile.TemporaryDirectory() as folder:
        run = SilentFolder(Path(folder))
        watching = watched(case.config, run, case.comparer, case.prepared, case.images, Tracker())
        trainer = trainer_of(
            case.config, run, case.comparer, case.prepared, case.images, watching, case.callbacks
        )
        fault.in_trainer(trainer, case)
        ended = "done"
        try:
            trainer.train()
        except HealthError:
            ended = "stopped"
        finally:
            AcceleratorState._reset_state()
            report = watching.close()
        try:
            watching.stop_where_pending()
        except HealthError:
            ended = "stopped"
    by_rule = {entry["rule"]: entry for entry in report["findings"]}
    return {"ended": ended, "steps": report["steps"], "findings": by_rule}
