"""Baselines of a page: constant answers, and whether a comparer beats the best baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from lmol.data.pairs_table import SHARES, WEIGHT, label_shares, pair_weights
from lmol.evaluation.metric import Metric
from lmol.evaluation.over_folds import over_folds
from lmol.report.blocks import Cell, Text
from lmol.report.numbers import DASH, METRICS, fixed, listed, mean_and_sd
from lmol.report.recipes import Recipe, Subject, reasons_against
from lmol.report.runs import ReportedRun
from lmol.report.sections.comparing import (
    SHOWN,
    conclusion,
    is_significant,
    test_by_train,
)
from lmol.report.statistics import PairedDifference, compare
from lmol.verdict import TITLES

CHANCE = 1 / len(TITLES)
CHOSEN = (
    "The best baseline is chosen by the same held-out folds, by each metric, which favours it a "
    "little."
)


def in_order(recipes: Sequence[Recipe]) -> list[Recipe]:
    """Return the recipes with the baselines first, else in their order."""
    return sorted(recipes, key=lambda recipe: not recipe.is_baseline)


def constant_rows(subject: Subject) -> list[list[Cell]]:
    """Return the rows of chance and of the majority class, for the pairs of the first recipe."""
    if not subject.finished:
        return []
    first = subject.finished[0]
    found = {run.fold: majority for run in first.runs if (majority := _majority(run)) is not None}
    chance = Cell(text=fixed(CHANCE), value=CHANCE)
    rows = [_row("chance", "each answer equally likely", len(first.runs), chance)]
    if found:
        titles = list(dict.fromkeys(title for title, _ in found.values()))
        shares = over_folds([share for _, share in found.values()])
        note = f"always {' or '.join(titles)}, the most frequent label of the training pairs"
        accuracy = Cell(text=mean_and_sd(shares), value=shares["mean"])
        rows.append(_row("majority class", note, len(found), accuracy))
    return rows


def _row(label: str, note: str, folds: int, accuracy: Cell) -> list[Cell]:
    metrics = [accuracy if metric.key == "accuracy" else Cell(text=DASH) for metric in METRICS]
    return [Cell(text=label, note=note), Cell(text=str(folds), value=folds), *metrics]


def _majority(run: ReportedRun) -> tuple[str, float] | None:
    """Return the most frequent label of the training pairs, and its share of the held-out pairs.

    None if a table is missing or damaged. The held-out pairs have no part in the choice.
    """
    confusion = run.table("confusion.csv", ["label"], TITLES)
    title = _most_frequent(run)
    if confusion is None or title is None:
        return None
    held_out = confusion.groupby("label")[list(TITLES)].sum().sum(axis=1)
    total = float(held_out.sum())
    return (title, float(held_out.get(title, 0.0)) / total) if total > 0 else None


def _most_frequent(run: ReportedRun) -> str | None:
    """Return the most frequent label of the training pairs; votes count by share and weight."""
    for file in sorted((run.path / "pairs").glob(f"train_fold{run.fold}_*.csv")):
        pairs = run.table(f"pairs/{file.name}", ["label"], ())
        if pairs is not None and len(pairs) and pairs["label"].isin(TITLES).all():
            voted = [name for name in (*SHARES, WEIGHT) if name in pairs]
            numbers = pairs[voted].apply(pd.to_numeric, errors="coerce").fillna(0.0)
            pairs = pairs.assign(**numbers)
            counts = (label_shares(pairs) * pair_weights(pairs)[:, None]).sum(axis=0)
            return TITLES[int(np.argmax(counts))]
    return None


def cost_texts(subject: Subject) -> Iterator[Text]:
    """Yield, for each other recipe, whether it beats the best baseline; nothing without both."""
    baselines = [recipe for recipe in subject.finished if recipe.is_baseline]
    for other in subject.finished:
        rivals = [one for one in baselines if not list(reasons_against(one, other))]
        if not other.is_baseline and rivals:
            yield _cost_text(other, rivals)


def _cost_text(other: Recipe, rivals: Sequence[Recipe]) -> Text:
    sentences, better = [], []
    for metric in METRICS:
        if metric.key in SHOWN and (compared := _against_best(other, rivals, metric)):
            best, found = compared
            sentences.append(conclusion(best.label, other.label, metric, found))
            if is_significant(found) and (found.mean < 0) == metric.low_is_good:
                better.append(metric.title)
    if better:
        verdict = f"{other.label} is worth its cost on these data by {listed(better)}"
        verdict += "." if len(better) == len(sentences) else " only."
    else:
        verdict = f"These folds do not show that {other.label} is worth its cost."
    heading = f"Is {other.label} worth its cost?"
    return Text(sentences=[verdict, *sentences, CHOSEN], heading=heading)


def _against_best(
    other: Recipe, rivals: Sequence[Recipe], metric: Metric
) -> tuple[Recipe, PairedDifference] | None:
    """Return the baseline that is best over the shared folds, and the paired comparison with it."""
    compared = [
        (rival, found)
        for rival in rivals
        if (found := compare(
            rival.values(metric.key), other.values(metric.key), test_by_train(rival)))
    ]  # fmt: skip
    sign = -1 if metric.low_is_good else 1
    return min(compared, key=lambda pair: sign * pair[1].mean, default=None)
