"""First table: each recipe's metrics over its folds, and the runs that no mean includes."""

from __future__ import annotations

from collections.abc import Iterator

from lmol.report.blocks import Block, Cell, Section, Table, Text
from lmol.report.numbers import METRICS, between, listed, mean_and_sd, number_cell, of_folds
from lmol.report.recipes import LeftOut, Recipe, Subject
from lmol.report.sections.baselines import constant_rows, cost_texts, in_order

CAPTION = (
    "Held-out metrics, mean ± SD over folds; below it the 95 % t-interval of the mean, which with "
    "few folds may reach beyond possible values. Folds share training images, so that intervals "
    "are somewhat too narrow; the comparison of recipes corrects for that."
)


def headline_section(subject: Subject) -> Section:
    """Return one row per recipe, baselines first, then the runs that are left out."""
    columns = ("recipe", "folds", *(metric.title for metric in METRICS))
    recipes = in_order(subject.recipes)
    rows = [*constant_rows(subject), *(_row(recipe) for recipe in recipes)]
    table = Table(caption=CAPTION, columns=columns, rows=rows, numeric=range(2, len(columns)))
    blocks: list[Block] = [table, *cost_texts(subject), *_by_fold(subject)]
    blocks += [*_missing(subject), *_left_out(subject)]
    return Section(key="results", title="Results", blocks=blocks)


def _row(recipe: Recipe) -> list[Cell]:
    folds = f"{len(recipe.folds)} of {recipe.num_folds}"
    note = f"without {listed(recipe.missing)}" if recipe.missing else ""
    return [
        Cell(text=recipe.label, strong=True),
        Cell(text=folds, value=len(recipe.folds), note=note),
        *(_metric(recipe, metric.key) for metric in METRICS),
    ]


def _metric(recipe: Recipe, key: str) -> Cell:
    found = recipe.over_folds(key)
    note = between(found["low"], found["high"]) if found["low"] is not None else ""
    if found["folds"] < len(recipe.runs):
        note = f"{note} (defined in {found['folds']} of {len(recipe.runs)} folds)".strip()
    return Cell(text=mean_and_sd(found), value=found["mean"], note=note)


def _by_fold(subject: Subject) -> Iterator[Table]:
    columns = ("recipe", "fold", *(metric.title for metric in METRICS))
    rows = [
        [
            Cell(text=recipe.label),
            Cell(text=str(run.fold), value=run.fold),
            *(number_cell(run.metrics.get(metric.key)) for metric in METRICS),
        ]
        for recipe in subject.finished
        for run in recipe.runs
    ]
    if rows:
        yield Table(
            caption="The same, each fold by itself.",
            columns=columns,
            rows=rows,
            numeric=range(1, len(columns)),
            folded=True,
        )


def _missing(subject: Subject) -> Iterator[Text]:
    sentences = [
        f"{recipe.label}: no finished run of {of_folds(recipe.missing)}; its means are over "
        f"{of_folds(recipe.folds)} only."
        if recipe.runs
        else f"{recipe.label}: no finished run at all."
        for recipe in subject.recipes
        if recipe.missing
    ]
    if sentences:
        yield Text(sentences=sentences, heading="Missing folds")


def _left_out(subject: Subject) -> Iterator[Table]:
    columns = ("run", "recipe", "fold", "status", "why")
    rows = [_left_out_row(found) for found in subject.left_out]
    if rows:
        yield Table(caption="Runs that are not part of these means.", columns=columns, rows=rows)


def _left_out_row(found: LeftOut) -> list[Cell]:
    run = found.run
    fold = "?" if run.fold is None else str(run.fold)
    texts = (f"{run.path.parent.name}/{run.path.name}", run.name, fold, run.status.value)
    return [*(Cell(text=text) for text in texts), Cell(text=found.reason)]
