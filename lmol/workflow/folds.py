"""The folds of a data set: load, check, pair, and write them into the run folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lmol.config import Config, instantiate
from lmol.data.contents import near_duplicates, refuse_leaks
from lmol.data.data_set import DataSet, data_hash
from lmol.data.folds import Split, split_folds, split_hash
from lmol.data.pairs_table import pairs_csv
from lmol.data.preparation import PairPlan, PreparedFold, load_data
from lmol.errors import ConfigError, DataError, LmolError, RunFolderError
from lmol.runs.past_runs import PastRun
from lmol.runs.run_folder import RunFolder
from lmol.system.files import own_file

log = logging.getLogger(__name__)

IMAGES = "images.csv"

SAME = ["image", "score", "content"]
"""Columns of images.csv that must be unchanged for every held-out image."""


def load_folds(config: Config, run: RunFolder) -> list[PreparedFold]:
    """Load, check and split the data; refuse held-out files that are also in the training fold."""
    source = instantiate(config.data.source, "data.source")
    data = load_data(source, data_root(config))
    _note_same(run, data_hash=data_hash(data.images, data.comparisons))
    log.info("%s", data.describe())
    _require_scores(config, data)
    splits = split_folds(source, data.images, config.fold)
    for split in splits if not config.fold.allow_duplicates else ():
        refuse_leaks(split)
    plan = pair_plan(config)
    return [PreparedFold(split, data, plan) for split in splits]


def data_root(config: Config) -> Path | None:
    """Return the folder that must hold all image files; None if they may be anywhere."""
    root = config.data.source.get("root") or config.data.root
    return None if root is None or config.data.outside else Path(str(root))


def _note_same(run: RunFolder, **hashes: str) -> None:
    """Add hashes to the manifest; raise DataError if a continued run began with others."""
    if run.state is not None and any(run.facts.get(key, one) != one for key, one in hashes.items()):
        raise DataError(
            "data",
            got="other images, scores, votes or folds than the run began with",
            expected="the same data, so that it ends with the same bits",
            remedy="restore the data, or train anew",
        )
    run.note(**hashes)


def _require_scores(config: Config, data: DataSet) -> None:
    """Raise ConfigError if the best checkpoint is chosen by a metric that needs missing scores."""
    if "score" in data.images:
        return
    from lmol.evaluation.metrics import METRICS  # scikit-learn takes a second to import

    if config.train.metric.value in {metric.key for metric in METRICS if metric.needs}:
        problem = LmolError(
            "train.metric",
            got=f"{config.train.metric.value}, for images without scores",
            expected="a metric that needs no scores",
            remedy="set train.metric=accuracy",
        )
        raise ConfigError([problem])


def pair_plan(config: Config) -> PairPlan:
    """Return the settings that determine the drawn pairs."""
    return PairPlan(
        policy=instantiate(config.data.schedule, "data.schedule"),
        theta=config.data.theta,
        num_validation=config.train.validation_pairs,
        num_held_out=None if config.eval.pairs == "all" else int(config.eval.pairs),
        seed=config.seed,
    )


def prepare_fold(config: Config, run: RunFolder) -> PreparedFold:
    """Prepare the configured fold, and write its pairs and images."""
    fold = load_folds(config, run)[config.fold.index - 1]
    _note_same(run, split_hash=split_hash(fold.split))
    save_pairs(fold, run)
    save_images(fold.split, run)
    count_near_duplicates([fold.split], run)
    return fold


def count_near_duplicates(splits: Sequence[Split], run: RunFolder) -> None:
    """Report held-out images that look like an image of the training fold, such as a resized copy.

    Write their number by fold into the manifest, their names to pairs/near_duplicates_fold<k>.csv.
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


def save_pairs(fold: PreparedFold, run: RunFolder) -> None:
    """Write train_fold<k>_<n>.csv and eval_fold<k>_<n>.csv."""
    index = fold.split.fold
    for part, pairs in (("train", fold.training_pairs), ("eval", fold.held_out_pairs)):
        run.write_text(f"pairs/{part}_fold{index}_{len(pairs)}.csv", pairs_csv(pairs))
        shares = ", ".join(f"{n} {label}" for label, n in pairs["label"].value_counts().items())
        log.info("Fold %d %s: %d pairs (%s)", index, part, len(pairs), shares)
    if fold.num_dropped:
        message = "Fold %d: %d comparisons of images in different parts are left out"
        log.info(message, index, fold.num_dropped)


def save_images(split: Split, run: RunFolder) -> None:
    """Write images.csv: each image with its part of the fold.

    The column path is for the pictures of a report.
    """
    parts = {"train": split.train, "validation": split.validation, "held_out": split.held_out}
    table = pd.concat([part.assign(part=name) for name, part in parts.items()])
    columns = ("image", "part", "score", "group", "subject", "content", "path")
    run.write_table(IMAGES, table[[name for name in columns if name in table]])


def same_fold(config: Config, past: PastRun, run: RunFolder) -> PreparedFold:
    """Return the fold that a run was trained on; raise DataError if the data have changed."""
    fold = load_folds(config, run)[past.fold - 1]
    held_out, before = fold.split.held_out, images_of(past)
    columns = [name for name in SAME if name in held_out]
    stored = before[before["part"] == "held_out"].reindex(columns=columns).reset_index(drop=True)
    same = split_hash(fold.split) == past.manifest.get("split_hash")
    if not same or not stored.equals(held_out[columns]):
        raise DataError(
            "data",
            got=f"other images, scores or folds than {past.path.name} was trained with",
            expected="the same data, so that the same images are held out",
            remedy="restore the data, or name their folder with data.root=...",
        )
    return fold


def images_of(past: PastRun) -> pd.DataFrame:
    """Read images.csv of a run: image, part of the fold, score, group, content, ..."""
    try:
        file = own_file(past.path, IMAGES)
        table = pd.read_csv(file, dtype={"image": str}, keep_default_na=False)
        table[["image", "part", "content"]]
    except (OSError, ValueError, KeyError) as error:
        raise RunFolderError(
            past.path,
            got=f"no readable {IMAGES} ({error})",
            expected="a run that was trained with this version",
            remedy="train it again",
        ) from error
    return table
