"""Subject of a page: recipes, runs left out, and recipes that may not be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lmol.report.numbers import listed, of_folds
from lmol.report.recipes import LeftOut, Recipe, recipes_of
from lmol.report.runs import ReportedRun

TASK_OF_THE_PAIRS = {
    "data.theta": "another theta, and so other labels",
    "eval.pairs": "another choice of held-out pairs",
}
"""Settings that change which pairs are asked, or their labels."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Recipes of a page, in the order named; the others are compared with the first.

    refusals: by a recipe's label, the reason why it is not compared with the first.
    """

    recipes: Sequence[Recipe]
    left_out: Sequence[LeftOut]
    refusals: Mapping[str, str]

    @property
    def finished(self) -> list[Recipe]:
        """Return the recipes with a finished run."""
        return [recipe for recipe in self.recipes if recipe.runs]


def subject_of(runs: Sequence[ReportedRun]) -> Subject:
    """Group runs by recipe, and decide which recipes may be compared."""
    recipes, left_out = recipes_of(runs)
    finished = [recipe for recipe in recipes if recipe.runs]
    refusals = {
        other.label: reason
        for other in finished[1:]
        if (reason := why_not_compared(finished[0], other)) is not None
    }
    return Subject(recipes=recipes, left_out=left_out, refusals=refusals)


def why_not_compared(first: Recipe, second: Recipe) -> str | None:
    """Return the reasons against a comparison over the same folds; None if it is valid."""
    reasons = list(_reasons(first, second))
    return f"{second.label} has {listed(reasons)} than {first.label}" if reasons else None


def _reasons(first: Recipe, second: Recipe) -> Iterator[str]:
    if _hashes(first, "data_hash") != _hashes(second, "data_hash"):
        yield "other data (data_hash)"
    folds = [fold for fold in first.folds if fold in second.folds]
    split = [fold for fold in folds if _split(first, fold) != _split(second, fold)]
    if split:
        yield f"other images held out in {of_folds(split)} (split_hash)"
    if not folds:
        yield "other folds"
    for key, name in TASK_OF_THE_PAIRS.items():
        if first.settings.get(key) != second.settings.get(key):
            yield f"{name} ({key})"


def _hashes(recipe: Recipe, name: str) -> set[object]:
    return {run.manifest.get(name) for run in recipe.runs}


def _split(recipe: Recipe, fold: int) -> object:
    return next(run.manifest.get("split_hash") for run in recipe.runs if run.fold == fold)
