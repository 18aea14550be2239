"""The answers to held-out pairs: confusion, accuracy by score gap, and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lmol.report.blocks import Block, Cell, Figure, Figures, Section, Table
from lmol.report.charts import draw_by_recipe, draw_confusion, series
from lmol.report.numbers import fixed
from lmol.report.recipes import Recipe
from lmol.report.statistics import summarise
from lmol.report.subject import Subject
from lmol.report.svg import Axis, Point
from lmol.verdict import TITLES

CONFUSION = (
    "All folds together, both orders of a pair averaged. A row is a label; its shares add up to "
    "100 %, and below them stands the number of pairs."
)
GAP = (
    "Share of pairs answered as their label says, by how far the two scores are apart; all folds "
    "together, a dot in the middle of its interval. The first dot holds the pairs labelled Similar."
)
RELIABILITY = (
    "Accuracy by confidence, the probability of the answer that is given; all folds together, bins "
    "of fewer than {fewest} pairs left out. On the dashed line a judge is right as often as it is "
    "sure; below it, it is too sure."
)
ECE = (
    "Expected calibration error (15 bins, mean ± SD over folds) as answered, and after a "
    "temperature that was fitted on validation pairs (above 1: the judge was too sure)."
)
FEWEST = 20


def confusion_section(subject: Subject) -> Section | None:
    """Draw a matrix per recipe; return None if no run has one."""
    found = {recipe.label: confusion_of(recipe) for recipe in subject.finished}
    figures = [
        Figure(title=_confusion_title(label, matrix), drawing=draw_confusion(matrix))
        for label, matrix in found.items()
        if matrix is not None
    ]
    if not figures:
        return None
    blocks = [Figures(caption=CONFUSION, figures=figures)]
    return Section(key="confusion", title="Confusion matrices", blocks=blocks)


def confusion_of(recipe: Recipe) -> pd.DataFrame | None:
    """Return counts over all folds, rows the label, columns the answer."""
    tables = [table for run in recipe.runs if (table := run.table("confusion.csv")) is not None]
    if not tables:
        return None
    titles = list(TITLES)
    counts = [table.set_index("label").loc[titles, titles].astype(np.int64) for table in tables]
    return pd.DataFrame(sum(table.to_numpy() for table in counts), titles, titles)


def _confusion_title(label: str, matrix: pd.DataFrame) -> str:
    return f"{label}: {int(matrix.to_numpy().sum()):,} pairs"


def gap_section(subject: Subject) -> Section | None:
    """Draw accuracy by gap of all recipes; return None if no run has the table."""
    curves, pooled = {}, []
    for place, recipe in enumerate(subject.finished):
        table = pooled_rows(recipe, "accuracy_by_gap", ("accuracy",))
        if table is not None:
            curves[place] = list(
                zip((table["low"] + table["high"]) / 2, table["accuracy"], strict=True)
            )
            pooled.append((recipe.label, table))
    if not curves:
        return None
    farthest = max(float(table["high"].max()) for _, table in pooled)
    x = Axis(limits=(0.0, farthest), title="score gap of the two images, in points")
    y = Axis(limits=(0.0, 1.02), title="accuracy", share=True)
    figure = _of_recipes("Accuracy by score gap", x, y, curves, subject)
    blocks: list[Block] = [Figures(caption=GAP, figures=[figure]), _gap_table(pooled)]
    return Section(key="gap", title="Accuracy by score gap", blocks=blocks)


def _gap_table(pooled: Sequence[tuple[str, pd.DataFrame]]) -> Table:
    rows = [
        [
            Cell(text=label),
            Cell(text=f"{row['low']:g} to {row['high']:g}", value=float(row["low"])),
            Cell(text=f"{int(row['pairs']):,}", value=int(row["pairs"])),
            Cell(text=fixed(row["accuracy"]), value=float(row["accuracy"])),
        ]
        for label, table in pooled
        for _, row in table.iterrows()
    ]
    return Table(
        caption="The numbers of the figure.",
        columns=("recipe", "gap (points)", "pairs", "accuracy"),
        rows=rows,
        numeric=frozenset((1, 2, 3)),
        folded=True,
    )


def calibration_section(subject: Subject) -> Section | None:
    """Draw reliability and list calibration errors by recipe; None if no run has the table."""
    curves = {}
    for place, recipe in enumerate(subject.finished):
        table = pooled_rows(recipe, "reliability", ("confidence", "accuracy"))
        if table is not None:
            shown = table[table["pairs"] >= min(FEWEST, table["pairs"].max())]
            curves[place] = list(zip(shown["confidence"], shown["accuracy"], strict=True))
    if not curves:
        return None
    low = min((x for points in curves.values() for x, _ in points), default=0.3)
    x = Axis(limits=(min(0.3, low), 1.0), title="confidence", share=True)
    y = Axis(limits=(0.0, 1.02), title="accuracy", share=True)
    figure = _of_recipes("Reliability", x, y, curves, subject, diagonal=True)
    caption = RELIABILITY.format(fewest=FEWEST)
    blocks: list[Block] = [Figures(caption=caption, figures=[figure]), _calibration_table(subject)]
    return Section(key="calibration", title="Calibration", blocks=blocks)


def _calibration_table(subject: Subject) -> Table:
    names = ("ece", "ece_calibrated", "temperature")
    rows = [
        [Cell(text=recipe.label), *(_over_folds(recipe, name) for name in names)]
        for recipe in subject.finished
    ]
    columns = ("recipe", "ECE", "ECE with temperature", "temperature")
    return Table(caption=ECE, columns=columns, rows=rows, numeric=frozenset((1, 2, 3)))


def _over_folds(recipe: Recipe, metric: str) -> Cell:
    found = summarise(list(recipe.values(metric).values()))
    spread = f" ± {fixed(found.sd)}" if found.sd is not None else ""
    return Cell(text=f"{fixed(found.mean)}{spread}", value=found.mean)


def _of_recipes(
    title: str,
    x: Axis,
    y: Axis,
    curves: Mapping[int, Sequence[Point]],
    subject: Subject,
    *,
    diagonal: bool = False,
) -> Figure:
    legend = [(series(place), subject.finished[place].label) for place in curves]
    drawing = draw_by_recipe(x, y, curves, diagonal=diagonal)
    return Figure(title=title, drawing=drawing, legend=legend)


def pooled_rows(recipe: Recipe, name: str, columns: Sequence[str]) -> pd.DataFrame | None:
    """Pool a table of diagnosis/ over folds: low, high, pairs, and means weighted by pairs.

    Rows without a pair are left out; None if no run has the table.
    """
    found = [run.table(f"diagnosis/{name}.csv") for run in recipe.runs]
    tables = [table[table["pairs"] > 0] for table in found if table is not None]
    if not tables:
        return None
    rows = pd.concat(tables, ignore_index=True)
    rows[["low", "high"]] = rows[["low", "high"]].round(9)
    sums = rows.assign(**{column: rows[column] * rows["pairs"] for column in columns})
    pooled = sums.groupby(["low", "high"], as_index=False)[["pairs", *columns]].sum()
    return pooled.assign(**{column: pooled[column] / pooled["pairs"] for column in columns})
