"""The trained model of an earlier run."""

from __future__ import annotations

import logging

from lmol.config import Config
from lmol.model.checkpoint import load_checkpoint
from lmol.model.pair_model import PairModel
from lmol.runs.past_runs import PastRun
from lmol.workflow.session import untrained_model

log = logging.getLogger(__name__)


def trained_model(config: Config, past: PastRun) -> tuple[PairModel, int]:
    """Return the model of a run with its trained weights, and the step that they are of."""
    model = untrained_model(config)
    folder = past.checkpoint(config.checkpoint.value)
    meta = load_checkpoint(model, folder)
    log.info("%s: step %s, %s %s", folder, meta["step"], meta["metric"], meta["best_value"])
    return model, int(meta["step"])
