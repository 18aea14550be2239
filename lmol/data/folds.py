"""Folds, which split images and never pairs: no image of a held-out pair is in a training pair."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmol.config.choices import FoldKind
from lmol.config.schema import FoldConfig
from lmol.data.data_set import OfficialFolds, Source
from lmol.data.pairs_table import Floats, Indices
from lmol.errors import DataError

TOLERANCE = 1e-6
"""Scores have six decimals; a list and All_labels may differ by the rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """The images of one fold: three score tables without a common image.

    train: in training pairs; validation: part of the training fold, used to choose `best`;
    held_out: used once, by evaluation.
    """

    fold: int
    train: pd.DataFrame
    validation: pd.DataFrame
    held_out: pd.DataFrame


def split_folds(source: Source, scores: pd.DataFrame, config: FoldConfig) -> list[Split]:
    """Return all k folds of a score table, in order. Raises DataError if they cannot be made."""
    if config.kind is FoldKind.OFFICIAL:
        fold_of = official_folds(source, scores)
    else:
        fold_of = seeded_folds(scores, config.k, config.seed)
    return [_split(scores, fold_of, fold, config) for fold in range(1, fold_of.max() + 1)]


def seeded_folds(scores: pd.DataFrame, k: int, seed: int) -> Indices:
    """Return fold 1..k of each image (n,), stratified by score; a subject is in one fold only.

    Among k subjects that are neighbours in mean score, each fold gets one, and the subject with the
    most images goes to the fold with the fewest. scores: a score table; an image without a subject
    counts as a separate subject.
    """
    subjects = Subjects.of(scores)
    if len(subjects.sizes) < 2 * k:
        raise DataError(
            "fold.k",
            got=f"{k} folds of {len(subjects.sizes)} {subjects.noun}",
            expected=f"at least two {subjects.noun} a fold",
            remedy="lower fold.k or add images",
        )
    rng = np.random.default_rng(seed)
    order = _by_score(subjects.means, rng)
    folds, filled = np.empty(len(order), dtype=np.int64), np.zeros(k, dtype=np.int64)
    for start in range(0, len(order), k):
        stratum = order[start : start + k]
        largest = stratum[np.argsort(-subjects.sizes[stratum], kind="stable")]
        drawn = rng.permutation(k)
        emptiest = drawn[np.argsort(filled[drawn], kind="stable")][: len(stratum)]
        folds[largest] = emptiest + 1
        filled[emptiest] += subjects.sizes[largest]
    return folds[subjects.of_image]


@dataclass(frozen=True, kw_only=True, eq=False)
class Subjects:
    """The m persons or objects that n images show; images of one are never split.

    of_image: the subject's number of each image, shape (n,). means: their mean scores, 0 without
    scores; sizes: their numbers of images, shape (m,). noun: their name in messages.
    """

    of_image: Indices
    means: Floats
    sizes: Indices
    noun: str

    @classmethod
    def of(cls, scores: pd.DataFrame) -> Subjects:
        """Return the subjects of a score table; without a column subject, each image is one."""
        named = "subject" in scores
        of_image, _ = pd.factorize(scores["subject" if named else "image"])
        sizes = np.bincount(of_image)
        values = scores["score"].to_numpy() if "score" in scores else np.zeros(len(scores))
        means = np.bincount(of_image, values) / sizes
        noun = "subjects" if named else "images"
        return cls(of_image=of_image, means=means, sizes=sizes, noun=noun)


def _by_score(scores: Floats, rng: np.random.Generator) -> Indices:
    """Return the order by score; equal scores are in random order, not in the file's."""
    return np.lexsort((rng.permutation(len(scores)), scores))


def _split(scores: pd.DataFrame, fold_of: Indices, fold: int, config: FoldConfig) -> Split:
    held_out = fold_of == fold
    known = np.flatnonzero(~held_out)
    chosen = _validation(scores.iloc[known], config.validation, config.seed + fold)
    return Split(
        fold=fold,
        train=_rows(scores, known[~chosen]),
        validation=_rows(scores, known[chosen]),
        held_out=_rows(scores, np.flatnonzero(held_out)),
    )


def _validation(scores: pd.DataFrame, share: float, seed: int) -> NDArray[np.bool_]:
    """Return the mask of a training fold's validation images, shape (n,).

    They are all images of a share of the subjects, spread evenly over the scores.
    """
    subjects = Subjects.of(scores)
    num_all = len(subjects.sizes)
    num = max(round(share * num_all), 2)
    rng = np.random.default_rng(seed)
    order = _by_score(subjects.means, rng)
    edges = np.linspace(0, num_all, num + 1).round().astype(int)
    picks = [rng.integers(low, high) for low, high in pairwise(edges)]
    chosen = np.zeros(num_all, dtype=bool)
    chosen[order[picks]] = True
    return chosen[subjects.of_image]


def _rows(scores: pd.DataFrame, rows: Indices) -> pd.DataFrame:
    return scores.iloc[rows].reset_index(drop=True)


def official_folds(source: Source, scores: pd.DataFrame) -> Indices:
    """Return fold 1..5 of each image from the release's lists, after checking them.

    Raises DataError if a fold's lists overlap, two folds hold out the same image, an image is in no
    list, or a score differs from All_labels.
    """
    if not isinstance(source, OfficialFolds):
        raise DataError(
            "fold",
            got=f"official, for data that has no official folds ({type(source).__name__})",
            expected="fold=official with data that has them, such as data=scut_fbp5500",
            remedy="use fold=seeded",
        )
    known = dict(zip(scores["image"], scores["score"], strict=True))
    fold_of: dict[str, int] = {}
    for fold, (train_file, train, test_file, test) in enumerate(source.official_folds(), start=1):
        for file, labels in ((train_file, train), (test_file, test)):
            _check_scores(file, labels, known)
        _refuse(test_file, sorted(set(train) & set(test)), "also in the training list of the fold")
        _refuse(test_file, sorted(set(test) & set(fold_of)), "held out by an earlier fold too")
        _refuse(train_file, sorted(set(known) - set(train) - set(test)), "in neither list")
        fold_of.update(dict.fromkeys(test, fold))
    _refuse(test_file, sorted(set(known) - set(fold_of)), "held out by no fold")
    return np.array([fold_of[name] for name in scores["image"]], dtype=np.int64)


def _check_scores(file: object, labels: dict[str, float], known: dict[str, float]) -> None:
    _refuse(file, sorted(set(labels) - set(known)), "not in All_labels")
    differing = [name for name, score in labels.items() if abs(score - known[name]) > TOLERANCE]
    _refuse(file, differing, "with another score than in All_labels")


def _refuse(file: object, names: list[str], fault: str) -> None:
    if names:
        raise DataError(
            file,
            got=f"{len(names)} image(s) {fault}, {names[0]} first",
            expected="five disjoint lists that cover all images, with the scores of All_labels",
            remedy="restore the lists of the release, or use fold=seeded",
        )


def split_hash(split: Split) -> str:
    """Return the SHA-256, in hex, of the ids of the three parts."""
    digest = hashlib.sha256()
    for part in (split.train, split.validation, split.held_out):
        digest.update(("\n".join(part["image"]) + "\n\n").encode())
    return digest.hexdigest()
