"""Learning curves by fold, all recipes on the same scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lmol.report.blocks import Block, Figure, Figures, Section, Text
from lmol.report.charts import Curves, draw_curves
from lmol.report.numbers import of_folds
from lmol.report.recipes import Recipe, Subject
from lmol.report.svg import Axis, Limits, limits_of

CAPTION = (
    "One line per fold: training (thin, of single batches, long curves smoothed) and validation "
    "(with dots, of training-fold images that are not trained on). Validation cross-entropy is on "
    "the scale of training: with score gaps as frequent, and Similar weighted, as in training. All "
    "recipes have the same scales. If validation cross-entropy rises while that of training falls, "
    "the model is overfitting."
)
LEGEND = (("training", "training"), ("validation", "validation"))
QUANTITIES = (
    ("cross_entropy", "eval_comparable_cross_entropy", "cross-entropy, in nats", False),
    ("accuracy", "eval_accuracy", "accuracy", True),
)
"""Names in training and in validation records, title, and whether the quantity is a share."""

SHARES = (0.0, 1.02)


def curves_section(subject: Subject) -> Section | None:
    """Draw two plots per recipe; return None if no run has records."""
    recipes = [recipe for recipe in subject.finished if any(run.records for run in recipe.runs)]
    if not recipes:
        return None
    scales = {
        name: _scales(recipes, (name, validation), share)
        for name, validation, _, share in QUANTITIES
    }
    blocks: list[Block] = [_figures(recipe, scales) for recipe in recipes]
    blocks.append(Text(sentences=[CAPTION]))
    return Section(key="curves", title="Learning curves", blocks=blocks)


def _figures(recipe: Recipe, scales: Mapping[str, tuple[Limits, Limits]]) -> Figures:
    figures = []
    for name, validation, title, share in QUANTITIES:
        steps, limits = scales[name]
        y = Axis(limits=limits, title=title, share=share)
        drawing = draw_curves(curves(recipe, name), curves(recipe, validation), y, steps)
        label = f"{recipe.label}: {title.partition(',')[0]}"
        figures.append(Figure(title=label, drawing=drawing, legend=LEGEND))
    return Figures(caption=f"{recipe.label}, {of_folds(recipe.folds)}.", figures=figures)


def _scales(recipes: Sequence[Recipe], names: Sequence[str], share: bool) -> tuple[Limits, Limits]:
    """Return limits of steps and values that hold for all recipes."""
    points = [
        point
        for recipe in recipes
        for name in names
        for curve in curves(recipe, name)
        for point in curve
    ]
    steps = 0.0, max((step for step, _ in points), default=1.0)
    return steps, SHARES if share else (0.0, limits_of(value for _, value in points)[1])


def curves(recipe: Recipe, name: str) -> Curves:
    """Return step and value of every record with that name, a curve per fold."""
    return [
        [
            (float(record["step"]), float(record[name]))
            for record in run.records
            if record.get(name) is not None
        ]
        for run in recipe.runs
    ]
