"""The ranked images: estimate against score, and groups of images."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lmol.evaluation.over_folds import over_folds
from lmol.report.blocks import Cell, Figure, Figures, Section, Table
from lmol.report.charts import draw_ranking
from lmol.report.numbers import number_cell, signed
from lmol.report.recipes import Recipe, Subject
from lmol.report.svg import Point, limits_of

RANKING = (
    "Every held-out image of all folds: the score of the raters, and the estimate from "
    "comparisons. All recipes have the same scales. Each fold is ranked by itself; dots along the "
    "dashed line are estimates equal to the score."
)
GROUPS = (
    "Pairs within one group of images: accuracy over all folds (weighted by pairs), its SD over "
    "folds, and the mean of estimate minus score. Groups with few pairs vary by chance."
)


def ranking_section(subject: Subject) -> Section | None:
    """Draw a scatter plot per recipe; return None if no run has estimates."""
    clouds = {place: ranked(recipe) for place, recipe in enumerate(subject.finished)}
    every = [end for points in clouds.values() for point in points for end in point]
    if not every:
        return None
    limits = limits_of(every)
    figures = [
        Figure(
            title=f"{subject.finished[place].label}: {len(points):,} images",
            drawing=draw_ranking(points, limits, place),
        )
        for place, points in clouds.items()
        if points
    ]
    blocks = [Figures(caption=RANKING, figures=figures)]
    return Section(key="ranking", title="Ranking", blocks=blocks)


def ranked(recipe: Recipe) -> list[Point]:
    """Return score and estimate of the held-out images of all folds."""
    columns = ["score", "estimate"]
    table = recipe.table("ranking.csv", [], columns)
    if table is None:
        return []
    return [(float(x), float(y)) for x, y in table[columns].dropna().itertuples(index=False)]


def subgroup_section(subject: Subject) -> Section | None:
    """Return a row per recipe and group; None if the data have no groups."""
    rows = [row for recipe in subject.finished for row in _rows(recipe)]
    if not rows:
        return None
    columns = ("recipe", "group", "folds", "pairs", "accuracy", "SD", "mean error (points)")
    table = Table(caption=GROUPS, columns=columns, rows=rows, numeric=range(2, 7))
    return Section(key="groups", title="Groups of images", blocks=[table])


def _rows(recipe: Recipe) -> Iterator[list[Cell]]:
    numbers = ["pairs", "accuracy", "mean_error"]
    table = recipe.table("diagnosis/subgroups.csv", ["kind", "group"], numbers)
    if table is not None:
        for group, rows in table[table["kind"] == "within"].groupby("group", sort=True):
            yield _row(recipe.label, str(group), rows[rows["pairs"] > 0])


def _row(label: str, group: str, rows: pd.DataFrame) -> list[Cell]:
    pairs = int(rows["pairs"].sum())
    accuracy = float((rows["accuracy"] * rows["pairs"]).sum() / pairs) if pairs else None
    return [
        Cell(text=label),
        Cell(text=group),
        Cell(text=str(len(rows)), value=len(rows)),
        Cell(text=f"{pairs:,}", value=pairs),
        number_cell(accuracy),
        number_cell(over_folds(rows["accuracy"].dropna().tolist())["sd"]),
        number_cell(over_folds(rows["mean_error"].dropna().tolist())["mean"], signed),
    ]
