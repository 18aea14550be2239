"""task=prepare: check the images, split them into folds, and write the pairs of all folds."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pandas as pd

from lmol.config import Config, instantiate
from lmol.data.contents import near_duplicates, refuse_leaks
from lmol.data.folds import Split, data_hash, split_folds, split_hash
from lmol.data.pairs import pairs_csv
from lmol.data.preparation import PreparedFold, load_scores, pair_fold
from lmol.runs.run_folder import RunFolder

log = logging.getLogger(__name__)

IMAGES = "images.csv"


def run(config: Config, run: RunFolder) -> None:
    """Write the training and evaluation pairs of every fold."""
    splits = load_folds(config, run)
    for split in splits:
        save_pairs(pair_fold(split, instantiate(config.data.schedule), config), run)
    count_near_duplicates(splits, run)


def prepare_fold(config: Config, run: RunFolder) -> PreparedFold:
    """The one fold that task=train works on, its pairs written too."""
    split = load_folds(config, run)[config.fold.index - 1]
    run.note(split_hash=split_hash(split))
    prepared = pair_fold(split, instantiate(config.data.schedule), config)
    save_pairs(prepared, run)
    save_images(split, run)
    count_near_duplicates([split], run)
    return prepared


def load_folds(config: Config, run: RunFolder) -> list[Split]:
    """Load and check the data, and split it; no held-out file is in the training fold."""
    source = instantiate(config.data.source)
    scores = load_scores(source)
    run.note(data_hash=data_hash(scores))
    log.info("%d images, scores %.2f to %.2f", len(scores), *scores["score"].agg(["min", "max"]))
    splits = split_folds(source, scores, config.fold)
    for split in splits if not config.fold.allow_duplicates else ():
        refuse_leaks(split)
    return splits


def count_near_duplicates(splits: Sequence[Split], run: RunFolder) -> None:
    """Report held-out images that look like one of the training fold, such as a resized copy.

    Their number by fold goes into the manifest, their names into pairs/near_duplicates_fold<k>.csv.
    """
    counts = {}
    for split in splits:
        found = near_duplicates(split.held_out, pd.concat([split.train, split.validation]))
        counts[split.fold] = len(found)
        if len(found):
            file = run.write_table(f"pairs/near_duplicates_fold{split.fold}.csv", found)
            example = f"{found['image'][0]} looks like {found['known'][0]}"
            message = "Fold %d: %d of %d held-out images look like one that is trained on (%s): %s"
            log.warning(message, split.fold, len(found), len(split.held_out), example, file)
    run.note(near_duplicates=counts)


def save_pairs(prepared: PreparedFold, run: RunFolder) -> None:
    """Write train_fold<k>_<n>.csv and eval_fold<k>_<n>.csv."""
    fold = prepared.split.fold
    for part, pairs in (("train", prepared.training_pairs), ("eval", prepared.held_out_pairs)):
        run.write_text(f"pairs/{part}_fold{fold}_{len(pairs)}.csv", pairs_csv(pairs))
        shares = ", ".join(f"{n} {label}" for label, n in pairs["label"].value_counts().items())
        log.info("Fold %d %s: %d pairs (%s)", fold, part, len(pairs), shares)


def save_images(split: Split, run: RunFolder) -> None:
    """Write images.csv: which images the fold trains on, validates with and holds out.

    path: where the file was, for pictures of it in a report.
    """
    parts = {"train": split.train, "validation": split.validation, "held_out": split.held_out}
    tables = [part.assign(part=name) for name, part in parts.items()]
    table = pd.concat(tables)
    columns = ("image", "part", "score", "group", "subject", "content", "path")
    run.write_table(IMAGES, table[[name for name in columns if name in table]])
