"""First table: each recipe's metrics over its folds, and the runs that no mean includes."""

from __future__ import annotations

from collections.abc import Iterator

from lmol.report.blocks import Block, Cell, Section, Table, Text
from lmol.report.numbers import METRICS, between, fixed, listed, of_folds
from lmol.report.recipes import LeftOut, Recipe
from lmol.report.statistics import summarise
from lmol.report.subject import Subject

CAPTION = (
    "Held-out metrics, mean ± SD over folds; below it the 95 % t-interval of the mean, which of a "
    "few folds may reach beyond possible values. Folds share training images, so that intervals "
    "are rather too narrow; the comparison of recipes corrects for that."
)


def headline_section(subject: Subject) -> Section:
    """Return one row per recipe, then the runs that are left out."""
    columns = ("recipe", "folds", *(metric.title for metric in METRICS))
    rows = [_row(recipe) for recipe in subject.recipes]
    table = Table(
        caption=CAPTION, columns=columns, rows=rows, numeric=frozenset(range(2, len(columns)))
    )
    blocks: list[Block] = [table, *_by_fold(subject), *_missing(subject)]
    if subject.left_out:
        blocks.append(_left_out(subject))
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
    found = summarise(list(recipe.values(key).values()))
    spread = f" ± {fixed(found.sd)}" if found.sd is not None else ""
    known = found.num if found.num < len(recipe.runs) else None
    note = between(found.low, found.high) if found.low is not None else ""
    if known is not None and recipe.runs:
        note = f"{note} (defined in {known} of {len(recipe.runs)} folds)".strip()
    return Cell(text=f"{fixed(found.mean)}{spread}", value=found.mean, note=note)


def _by_fold(subject: Subject) -> Iterator[Table]:
    columns = ("recipe", "fold", *(metric.title for metric in METRICS))
    rows = [
        [
            Cell(text=recipe.label),
            Cell(text=str(run.fold), value=run.fold),
            *(_value(run.metrics.get(metric.key)) for metric in METRICS),
        ]
        for recipe in subject.finished
        for run in recipe.runs
    ]
    if rows:
        yield Table(
            caption="The same, each fold by itself.",
            columns=columns,
            rows=rows,
            numeric=frozenset(range(1, len(columns))),
            folded=True,
        )


def _value(value: float | None) -> Cell:
    return Cell(text=fixed(value), value=value)


def _missing(subject: Subject) -> Iterator[Text]:
    sentences = [
        f"{recipe.label}: no finished run of {of_folds(recipe.missing)}; its means are over "
        f"{of_folds(recipe.folds)} alone."
        if recipe.runs
        else f"{recipe.label}: no finished run at all."
        for recipe in subject.recipes
        if recipe.missing
    ]
    if sentences:
        yield Text(sentences=sentences, heading="Missing folds")


def _left_out(subject: Subject) -> Table:
    return Table(
        caption="Runs that are in none of these means.",
        columns=("run", "recipe", "fold", "status", "why"),
        rows=[_left_out_row(found) for found in subject.left_out],
    )


def _left_out_row(found: LeftOut) -> list[Cell]:
    run = found.run
    fold = "?" if run.fold is None else str(run.fold)
    texts = (f"{run.path.parent.name}/{run.path.name}", run.name, fold, run.status.value)
    return [*(Cell(text=text) for text in texts), Cell(text=found.reason)]
