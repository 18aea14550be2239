"""The session of a training or an evaluation: its configuration, data, model and outputs."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pandas as pd
import torch
from transformers import set_seed

from lmol.config import Config, instantiate
from lmol.data.preparation import PreparedFold
from lmol.model.checkpoint import META, load_checkpoint, unreadable
from lmol.model.features import ImageStore, PixelImages, cache_features
from lmol.model.pair_model import PairModel
from lmol.model.spec import ModelSpec
from lmol.runs.past_runs import PastRun
from lmol.runs.run_folder import RunFolder
from lmol.system.progress import progress
from lmol.tracking.tracker import Tracker

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Session:
    """One fold, a model for it, and the run folder and tracker for its results.

    config: its fold.index is this fold. images: features or pixels of the fold's images.
    """

    config: Config
    run: RunFolder
    tracker: Tracker
    fold: PreparedFold
    model: PairModel
    images: ImageStore

    @property
    def seed(self) -> int:
        """Return the seed of this fold."""
        return self.config.seed + self.config.fold.index


def seed_everything(config: Config) -> None:
    """Seed Python, NumPy and torch; the Trainer seeds its workers from the same number."""
    if config.threads:
        torch.set_num_threads(config.threads)
    set_seed(config.seed + config.fold.index)


def untrained_model(config: Config) -> PairModel:
    """Build the model that the configuration describes."""
    spec: ModelSpec = instantiate(config.model, "model")
    base = config.model.get("backbone") or config.model.get("encoder") or {}
    frozen = base.get("weights")
    log.info("Loading the model: %s", frozen or config.model["_target_"])
    model = spec.build(config.data.question, config.data.answers)
    if config.train.activation_checkpointing:
        model.enable_activation_checkpointing()
    return model


def trained_model(config: Config, past: PastRun) -> tuple[PairModel, int]:
    """Return the model of a run with its trained weights, and their step."""
    model = untrained_model(config)
    folder = past.checkpoint(config.checkpoint.value)
    meta = load_checkpoint(model, folder)
    if not isinstance(meta.get("step"), int):
        raise unreadable(folder, f"{META} has no step")
    log.info("%s: step %s, %s %s", folder, meta["step"], meta.get("metric"), meta.get("best_value"))
    return model, meta["step"]


def image_store(config: Config, model: PairModel, *tables: pd.DataFrame) -> ImageStore:
    """Return the images of some tables: cached features, or pixels that are read at each use."""
    images = pd.concat(tables, ignore_index=True)
    if not config.model["cache_features"]:
        return PixelImages(model.encoder.preprocess, images)
    with progress("Vision features", len(images), "images") as advance:
        return cache_features(model.encoder, images, advance)
