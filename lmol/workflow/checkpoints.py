"""What a run's checkpoints hold beside weights: what places other images on the score scale."""

from __future__ import annotations

import logging
from pathlib import Path

from lmol.config import Config
from lmol.data.preparation import PreparedFold
from lmol.errors import LmolError
from lmol.evaluation.ranked import Validation
from lmol.model.checkpoint import load_checkpoint
from lmol.model.features import ImageStore, PixelImages, features_of
from lmol.model.pair_model import PairModel
from lmol.model.references import References
from lmol.ranking.pairing import spread_references
from lmol.runs.run_folder import RunFolder
from lmol.system.disk import megabytes
from lmol.workflow.held_out import judge_validation

log = logging.getLogger(__name__)


COPIES = 3
"""Checkpoints on the disk at once: best, last, and one that is written beside its place."""

PAIR_BYTES = 250
"""Bytes per pair in the tables of pairs and answers."""

OTHER_BYTES = 8_000_000
"""Bytes of pictures, logs, tracker files and small tables."""


def space_of_training(config: Config, model: PairModel, prepared: PreparedFold) -> tuple[int, str]:
    """Return about how many bytes a training writes, and for what."""
    weights = sum(tensor.nbytes for tensor in model.trained_state().values())
    num_references = min(config.ranking.references, len(prepared.split.validation))
    pictures = PixelImages(model.encoder.preprocess, prepared.split.train.iloc[:1])
    references = num_references * next(iter(pictures.values())).nbytes  # features are of that size
    num_pairs = len(prepared.training_pairs) + len(prepared.held_out_pairs)
    num_pairs += COPIES * len(prepared.validation_pairs)
    checkpoints = COPIES * (weights + references)
    artifact = weights if config.tracking.log_model else 0
    return (
        checkpoints + artifact + num_pairs * PAIR_BYTES + OTHER_BYTES,
        f"{COPIES} checkpoints of {megabytes(weights + references)}, tables and pictures",
    )


def complete_checkpoints(
    config: Config, run: RunFolder, model: PairModel, prepared: PreparedFold, images: ImageStore
) -> tuple[Validation, int]:
    """Give `last` and `best` what places other images on the score scale; leave `best` loaded.

    Before held-out images are judged, which may take long and be stopped. Returns the answers of
    `best` about validation images, and its step.
    """
    references = chosen_references(config, model, prepared, images)
    judged: dict[int, Validation] = {}
    folders = [run.path / "checkpoints" / kind for kind in ("last", "best")]
    for folder in filter(Path.is_dir, folders):  # a run that was stopped may have no best
        facts = load_checkpoint(model, folder)
        if facts["step"] not in judged:  # the last step is often the best
            judged[facts["step"]] = judge_validation(config, model, prepared, images)
        validation = judged[facts["step"]]
        if run.writes:
            validation.save(folder)
        if run.writes and references is not None:
            references.save(folder)
    best = facts["best_value"]
    told = "nothing chosen yet" if best is None else f"best {facts['metric']} {best:.4f}"
    log.info("Weights of step %s (%s)", facts["step"], told)
    return validation, int(facts["step"])


def complete_stopped(
    config: Config, run: RunFolder, model: PairModel, prepared: PreparedFold, images: ImageStore
) -> None:
    """As complete_checkpoints, for a run that was stopped: why it was is to be told, not this."""
    try:
        complete_checkpoints(config, run, model, prepared, images)
    except LmolError as error:
        log.error("The checkpoints are without references: %s", error)


def chosen_references(
    config: Config, model: PairModel, prepared: PreparedFold, images: ImageStore
) -> References | None:
    """Validation images spread over the scores; None where no references are wanted."""
    validation = prepared.split.validation
    num = min(config.ranking.references, len(validation))
    if num == 0:
        return None
    scores = validation["score"].to_numpy()
    rows = spread_references(scores, num)
    names = validation["image"].iloc[rows].tolist()
    features = features_of(model.encoder, images, names).cpu()
    return References(names=names, scores=scores[rows], features=features)
