"""Models without optimizer steps: fitted at once, or used as they came (train.epochs=0)."""

from __future__ import annotations

import logging
import time

import pandas as pd
import torch

from lmol.errors import TrainingError
from lmol.model.checkpoint import save_checkpoint
from lmol.model.features import feature_batches
from lmol.model.pair_model import Fitted, KnownPart
from lmol.system.distributed import process_index, process_state
from lmol.training.callbacks import tracked_name
from lmol.workflow.session import Session
from lmol.workflow.validation import Validator

log = logging.getLogger(__name__)

STEP = 0
"""The step of these weights, in checkpoints and records."""


def takes_no_steps(session: Session) -> bool:
    """Return whether the session's model is fitted at once, or stays as it came."""
    return isinstance(session.model, Fitted) or session.config.train.epochs == 0


def fit_at_once(session: Session, validator: Validator) -> tuple[float, float]:
    """Fit the model if it can be fitted, validate it, and save it as `best` and `last`.

    Returns the validation metric and the duration in seconds, as a training does. There is no state
    to continue from: an interrupted run begins anew.
    """
    start = time.monotonic()
    if isinstance(session.model, Fitted):
        _fit(session, session.model)
    metrics = validator.metrics(STEP)
    _record(session, metrics)
    metric = session.config.train.metric.value
    meta = {"step": STEP, "epoch": 0.0, "metric": metric, "best_value": metrics[metric]}
    if process_index() == 0:
        for kind in ("best", "last"):
            folder = session.run.folder("checkpoints") / kind
            save_checkpoint(session.model, folder, meta)
    process_state().wait_for_everyone()
    return metrics[metric], time.monotonic() - start


def _fit(session: Session, model: Fitted) -> None:
    fold = session.fold
    training = known_part(session, fold.split.train, fold.training_pairs)
    validation = known_part(session, fold.split.validation, fold.validation_pairs)
    facts = model.fit(training, validation)
    session.run.note(fitted=facts)
    log.info("Fitted: %s", ", ".join(f"{name} {value:.4g}" for name, value in facts.items()))


def known_part(session: Session, images: pd.DataFrame, pairs: pd.DataFrame) -> KnownPart:
    """Return images of the training fold with their features; raise TrainingError if not finite."""
    names = images["image"].tolist()
    batches = feature_batches(session.model.encoder, names, session.images)
    features = torch.cat([batch.cpu() for batch in batches])
    finite = features.flatten(1).isfinite().all(1)
    if not finite.all():
        broken = [name for name, good in zip(names, finite, strict=True) if not good]
        raise TrainingError(
            "the encoder's features",
            got=f"numbers that are not finite, of {len(broken)} image(s), {broken[0]} first",
            expected="finite features",
            remedy="set model.encoder.dtype=fp32, or check the image",
        )
    return KnownPart(images=images, features=features, pairs=pairs)


def _record(session: Session, metrics: dict[str, float]) -> None:
    """Add the validation to metrics.jsonl and to the tracker."""
    record = {f"eval_{name}": value for name, value in metrics.items()}
    session.run.append_metrics({"step": STEP, **record})
    session.tracker.log(STEP, {tracked_name(name): value for name, value in record.items()})
    shown = ("accuracy", "cross_entropy", "pearson")
    log.info("Validation | %s", " | ".join(
        f"{name}: {metrics[name]:.4f}" for name in shown if name in metrics))  # fmt: skip
