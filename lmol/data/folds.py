"""Folds split images, never pairs: no image of a held-out pair is in a training pair."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmol.config.choices import FoldKind
from lmol.config.schema import FoldConfig
from lmol.data.scut import ScutFBP5500
from lmol.errors import DataError

TOLERANCE = 1e-6
"""Scores have six decimals; a list's may differ from All_labels by their rounding."""


class Source(Protocol):
    """What `data.source` builds."""

    def load(self) -> pd.DataFrame:
        """The score table image, path, score, group."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """The images of one fold: three score tables without a common image.

    train: in training pairs; validation: of the training fold, kept for choosing `best`;
    held_out: looked at once, by evaluation.
    """

    fold: int
    train: pd.DataFrame
    validation: pd.DataFrame
    held_out: pd.DataFrame


def split_folds(source: Source, scores: pd.DataFrame, config: FoldConfig) -> list[Split]:
    """All k folds of a score table, in order. Raises DataError where they cannot be made."""
    if config.kind is FoldKind.OFFICIAL:
        fold_of = official_folds(source, scores)
    else:
        fold_of = seeded_folds(scores["score"].to_numpy(), config.k, config.seed)
    return [_split(scores, fold_of, fold, config) for fold in range(1, fold_of.max() + 1)]


def seeded_folds(scores: NDArray[np.float64], k: int, seed: int) -> NDArray[np.int64]:
    """Fold 1..k of each image (n,), stratified: of k neighbours in score, one goes to each."""
    if len(scores) < 2 * k:
        raise DataError(
            "fold.k",
            got=f"{k} folds of {len(scores)} images",
            expected="at least two images a fold",
            remedy="lower fold.k or add images",
        )
    rng = np.random.default_rng(seed)
    order = _by_score(scores, rng)
    folds = np.empty(len(scores), dtype=np.int64)
    for start in range(0, len(order), k):
        stratum = order[start : start + k]
        folds[stratum] = rng.permutation(k)[: len(stratum)] + 1
    return folds


def _by_score(scores: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Order by score; equal scores in random order, so that the file's order plays no part."""
    return np.lexsort((rng.permutation(len(scores)), scores))


def _split(
    scores: pd.DataFrame, fold_of: NDArray[np.int64], fold: int, config: FoldConfig
) -> Split:
    held_out = fold_of == fold
    known = np.flatnonzero(~held_out)
    chosen = _validation(scores["score"].to_numpy()[known], config.validation, config.seed + fold)
    return Split(
        fold=fold,
        train=_rows(scores, known[~chosen]),
        validation=_rows(scores, known[chosen]),
        held_out=_rows(scores, np.flatnonzero(held_out)),
    )


def _validation(scores: NDArray[np.float64], share: float, seed: int) -> NDArray[np.bool_]:
    """Which images of a training fold validate: a share of them, spread evenly over the scores."""
    num = max(round(share * len(scores)), 2)
    rng = np.random.default_rng(seed)
    order = _by_score(scores, rng)
    edges = np.linspace(0, len(scores), num + 1).round().astype(int)
    picks = [rng.integers(low, high) for low, high in pairwise(edges)]
    chosen = np.zeros(len(scores), dtype=bool)
    chosen[order[picks]] = True
    return chosen


def _rows(scores: pd.DataFrame, rows: NDArray[np.int64]) -> pd.DataFrame:
    return scores.iloc[rows].reset_index(drop=True)


def official_folds(source: Source, scores: pd.DataFrame) -> NDArray[np.int64]:
    """Fold 1..5 of each image by the release's lists, after checking them.

    Raises DataError where a fold's lists overlap, two folds hold out the same image, an image is in
    none, or a score differs from All_labels.
    """
    if not isinstance(source, ScutFBP5500):
        raise DataError(
            "fold",
            got=f"official, for data that has no official folds ({type(source).__name__})",
            expected="fold=official with data=scut_fbp5500 only",
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
    """SHA-256, in hex, of the ids of the three parts."""
    digest = hashlib.sha256()
    for part in (split.train, split.validation, split.held_out):
        digest.update(("\n".join(part["image"]) + "\n\n").encode())
    return digest.hexdigest()
