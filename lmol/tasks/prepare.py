"""task=prepare: check the images, split them into folds, and write the pairs of all folds."""

from __future__ import annotations

from lmol.config import Config
from lmol.runs.run_folder import RunFolder
from lmol.workflow.folds import count_near_duplicates, load_folds, save_pairs


def run(config: Config, run: RunFolder) -> None:
    """Write the training and evaluation pairs of every fold."""
    folds = load_folds(config, run)
    for fold in folds:
        save_pairs(fold, run)
    count_near_duplicates([fold.split for fold in folds], run)
