"""Loading of a comparer from the folder of a run or of a checkpoint."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from lmol.config import load_config
from lmol.config.paths import read_path
from lmol.evaluation.ranked import Validation
from lmol.inference.comparer import ImageComparer
from lmol.model.checkpoint import META, load_checkpoint, read_meta
from lmol.model.references import References
from lmol.model.spec import build_model
from lmol.runs.past_runs import one_run


def load_comparer(
    run_or_checkpoint: str | Path | None = None,
    *,
    checkpoint: str = "best",
    weights: str | None = None,
) -> ImageComparer:
    """Load a trained comparer on this machine's device.

    run_or_checkpoint: the folder of a run (or None, the latest finished one below outputs/), whose
    `checkpoint` is loaded, best or last; or the folder of a checkpoint, which may have been copied
    from elsewhere. weights: the new place of the base, if it moved. The caller's random state,
    logging and Hydra stay unchanged. Raises RunFolderError, CheckpointError or ModelError.
    """
    folder = _checkpoint_folder(run_or_checkpoint, checkpoint)
    base = None if weights is None else read_path("weights", weights)
    # Random adapter weights are replaced at once; libraries of a model may set warning filters.
    with torch.random.fork_rng(), warnings.catch_warnings():
        comparer = build_model(read_meta(folder)["comparer"], base)
    load_checkpoint(comparer, folder)
    defaults = load_config()
    return ImageComparer(
        comparer.eval(),
        references=References.load(folder),
        validation=Validation.load(folder),
        ranking=defaults.ranking,
        judging=defaults.eval,
    )


def _checkpoint_folder(place: str | Path | None, kind: str) -> Path:
    named = None if place is None else read_path("run_or_checkpoint", place)
    if named is not None and (Path(named) / META).is_file():
        return Path(named)
    return one_run(named).checkpoint(kind)
