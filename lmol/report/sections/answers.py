"""The answers to held-out pairs: confusion, accuracy by score gap, and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from lmol.report.blocks import Block, Cell, Figure, Figures, Section, Table
from lmol.report.charts import draw_by_recipe, draw_confusion, series
from lmol.report.numbers import mean_and_sd, number_cell
from lmol.report.recipes import Recipe, Subject
from lmol.report.svg import Axis, Point
from lmol.verdict import TITLES

CONFUSION = (
    "All folds together, both orders of a pair averaged. Each row is a label; its shares add up to "
    "100 %, with the number of pairs below each share."
)
GAP = (
    "Share of pairs answered as their label says, by how far the two scores are apart; all folds "
    "together, a dot in the middle of its interval. The first dot holds the pairs labelled Similar."
)
RELIABILITY = (
    "Accuracy by confidence, the probability of the answer that is given; all folds together, bins "
    "of fewer than {fewest} pairs left out. On the dashed line, accuracy equals confidence; below "
    "it, the judge is overconfident."
)
ECE = (
    "Expected calibration error (15 bins, mean ± SD over folds) as answered, and after a "
    "temperature that was fitted on validation pairs (above 1: the judge was overconfident)."
)
FEWEST = 20

CALIBRATION = {
    "ece": "ECE",
    "ece_calibrated": "ECE with temperature",
    "temperature": "temperature",
}
"""Metrics with their column titles."""

Tables = Mapping[int, pd.DataFrame]
"""A table of each recipe that has it, by the recipe's place."""


def confusion_section(subject: Subject) -> Section | None:
    """Draw a matrix per recipe; return None if no run has one."""
    found = {recipe.label: confusion_of(recipe) for recipe in subject.finished}
    figures = [
        Figure(title=f"{label}: {matrix.to_numpy().sum():,} pairs", drawing=draw_confusion(matrix))
        for label, matrix in found.items()
        if matrix is not None
    ]
    if not figures:
        return None
    blocks = [Figures(caption=CONFUSION, figures=figures)]
    return Section(key="confusion", title="Confusion matrices", blocks=blocks)


def confusion_of(recipe: Recipe) -> pd.DataFrame | None:
    """Return counts over all folds, rows the label, columns the answer; None without the table."""
    titles = list(TITLES)
    table = recipe.table("confusion.csv", ["label"], titles)
    if table is None:
        return None
    return table.groupby("label")[titles].sum().reindex(titles, fill_value=0).astype("int64")


def gap_section(subject: Subject) -> Section | None:
    """Draw accuracy by gap of all recipes; return None if no run has the table."""
    tables = pooled(subject, "accuracy_by_gap", ("accuracy",))
    if not tables:
        return None
    curves = {
        place: list(zip((table["low"] + table["high"]) / 2, table["accuracy"], strict=True))
        for place, table in tables.items()
    }
    farthest = max(float(table["high"].max()) for table in tables.values())
    x = Axis(limits=(0.0, farthest), title="score gap of the two images, in points")
    figure = _accuracy("Accuracy by score gap", x, curves, subject)
    blocks: list[Block] = [Figures(caption=GAP, figures=[figure]), _gap_table(tables, subject)]
    return Section(key="gap", title="Accuracy by score gap", blocks=blocks)


def _gap_table(tables: Tables, subject: Subject) -> Table:
    rows = [
        [
            Cell(text=subject.finished[place].label),
            Cell(text=f"{row['low']:g} to {row['high']:g}", value=float(row["low"])),
            Cell(text=f"{int(row['pairs']):,}", value=int(row["pairs"])),
            number_cell(float(row["accuracy"])),
        ]
        for place, table in tables.items()
        for _, row in table.iterrows()
    ]
    caption, columns = "The numbers of the figure.", ("recipe", "gap (points)", "pairs", "accuracy")
    return Table(caption=caption, columns=columns, rows=rows, numeric=range(1, 4), folded=True)


def calibration_section(subject: Subject) -> Section | None:
    """Draw reliability and list calibration errors by recipe; None if no run has the table."""
    curves = {}
    for place, table in pooled(subject, "reliability", ("confidence", "accuracy")).items():
        shown = table[table["pairs"] >= min(FEWEST, table["pairs"].max())]
        curves[place] = list(zip(shown["confidence"], shown["accuracy"], strict=True))
    if not curves:
        return None
    low = min((x for points in curves.values() for x, _ in points), default=0.3)
    x = Axis(limits=(min(0.3, low), 1.0), title="confidence", share=True)
    figure = _accuracy("Reliability", x, curves, subject, diagonal=True)
    caption = RELIABILITY.format(fewest=FEWEST)
    blocks: list[Block] = [Figures(caption=caption, figures=[figure]), _calibration_table(subject)]
    return Section(key="calibration", title="Calibration", blocks=blocks)


def _calibration_table(subject: Subject) -> Table:
    rows = [
        [Cell(text=recipe.label), *(_mean(recipe, name) for name in CALIBRATION)]
        for recipe in subject.finished
    ]
    columns = ("recipe", *CALIBRATION.values())
    return Table(caption=ECE, columns=columns, rows=rows, numeric=range(1, 4))


def _mean(recipe: Recipe, metric: str) -> Cell:
    found = recipe.over_folds(metric)
    return Cell(text=mean_and_sd(found), value=found["mean"])


def _accuracy(
    title: str, x: Axis, curves: Mapping[int, Sequence[Point]], subject: Subject, **options: bool
) -> Figure:
    """Draw a curve of accuracy per recipe. options: as in draw_by_recipe."""
    y = Axis(limits=(0.0, 1.02), title="accuracy", share=True)
    legend = [(series(place), subject.finished[place].label) for place in curves]
    drawing = draw_by_recipe(x, y, curves, **options)
    return Figure(title=title, drawing=drawing, legend=legend)


def pooled(subject: Subject, name: str, columns: Sequence[str]) -> Tables:
    """Pool a table of diagnosis/ over folds: low, high, pairs, and means weighted by pairs.

    Rows without a pair are left out, and recipes without the table.
    """
    numbers = ["low", "high", "pairs", *columns]
    found = [recipe.table(f"diagnosis/{name}.csv", [], numbers) for recipe in subject.finished]
    return {
        place: _pooled(table[table["pairs"] > 0], columns)
        for place, table in enumerate(found)
        if table is not None
    }


def _pooled(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    sums = rows.round({"low": 9, "high": 9})
    sums = sums.assign(**{column: rows[column] * rows["pairs"] for column in columns})
    table = sums.groupby(["low", "high"], as_index=False)[["pairs", *columns]].sum()
    return table.assign(**{column: table[column] / table["pairs"] for column in columns})
