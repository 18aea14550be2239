"""Completion of the checkpoints of a run: validation answers and references beside the weights."""

from __future__ import annotations

import logging
from pathlib import Path

from lmol.config import Config
from lmol.data.preparation import PreparedFold
from lmol.errors import LmolError
from lmol.evaluation.ranked import Validation
from lmol.model.checkpoint import load_checkpoint
from lmol.model.features import PixelImages, features_of
from lmol.model.pair_model import PairModel
from lmol.model.references import References
from lmol.ranking.pairing import spread_references
from lmol.system.disk import megabytes
from lmol.workflow.session import Session
from lmol.workflow.validation import Validator

log = logging.getLogger(__name__)

COPIES = 3
"""Checkpoints, and states, on the disk at once: two, and one that is being written."""

STATE_PARTS = 6
"""Copies of the trained weights in a state: with two moments, now and at the last good step."""

PAIR_BYTES = 250
"""Bytes per pair in the tables of pairs and answers."""

OTHER_BYTES = 8_000_000
"""Bytes of pictures, logs, tracker files and small tables."""


def space_of_training(config: Config, model: PairModel, fold: PreparedFold) -> tuple[int, str]:
    """Return an estimate of the bytes that a training writes, and their purpose."""
    weights = sum(tensor.nbytes for tensor in model.trained_state().values())
    num_references = min(config.ranking.references, len(fold.split.validation))
    pictures = PixelImages(model.encoder.preprocess, fold.split.train.iloc[:1])
    references = num_references * next(iter(pictures.values())).nbytes  # features are of that size
    num_pairs = len(fold.training_pairs) + len(fold.held_out_pairs)
    num_pairs += COPIES * len(fold.validation_pairs)
    checkpoint, state = weights + references, STATE_PARTS * weights
    artifact = weights if config.tracking.log_model else 0
    return (
        COPIES * (checkpoint + state) + artifact + num_pairs * PAIR_BYTES + OTHER_BYTES,
        f"{COPIES} checkpoints of {megabytes(checkpoint)}, {COPIES} states of {megabytes(state)}, "
        "tables and pictures",
    )


def complete_checkpoints(session: Session, validator: Validator) -> tuple[Validation, int]:
    """Add validation answers and references to `last` and `best`; leave `best` loaded.

    They place other images on the score scale. Call it before the held-out images are judged: that
    may take long and be stopped. Returns the validation answers of `best`, and its step.
    """
    references = chosen_references(session)
    folders = [session.run.path / "checkpoints" / kind for kind in ("last", "best")]
    for folder in filter(Path.is_dir, folders):  # a run that was stopped may have no best
        meta = load_checkpoint(session.model, folder)
        validation = validator.answers(meta["step"])
        if session.run.writes:
            validation.save(folder)
        if session.run.writes and references is not None:
            references.save(folder)
    best = meta["best_value"]
    chosen = "nothing chosen yet" if best is None else f"best {meta['metric']} {best:.4f}"
    log.info("Weights of step %s (%s)", meta["step"], chosen)
    return validation, int(meta["step"])


def complete_stopped(session: Session, validator: Validator) -> None:
    """Like complete_checkpoints, for a stopped run: log any error here, as another is raised."""
    try:
        complete_checkpoints(session, validator)
    except LmolError as error:
        log.error("The checkpoints are without references: %s", error)


def chosen_references(session: Session) -> References | None:
    """Choose validation images spread over the scores; None without scores, or if 0 are wanted."""
    validation = session.fold.split.validation
    num = min(session.config.ranking.references, len(validation))
    if num == 0 or "score" not in validation:
        return None
    scores = validation["score"].to_numpy()
    rows = spread_references(scores, num)
    names = validation["image"].iloc[rows].tolist()
    features = features_of(session.model.encoder, session.images, names).cpu()
    return References(names=names, scores=scores[rows], features=features)
