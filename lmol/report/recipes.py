"""Recipes of a page: runs that differ only in the fold, and recipes that may be compared."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lmol.config.signature import WITHOUT_EFFECT, flat, without
from lmol.evaluation.over_folds import OverFolds, over_folds
from lmol.model import baseline
from lmol.report.numbers import listed, of_folds
from lmol.report.runs import ReportedRun

NOT_OF_A_RECIPE = (
    *WITHOUT_EFFECT,
    "fold.index",
    "task.name",
    "run",
    "runs",
    "checkpoint",
    "images",
    "report",
    "export",
)
"""Keys and groups of settings that do not distinguish recipes."""

SETTINGS_OF_PAIRS = {
    "data.theta": "another theta, and so other labels",
    "eval.pairs": "another choice of held-out pairs",
}
"""Settings that change the held-out pairs or their labels."""

BASELINES = f"{baseline.__name__}."
"""The package of their classes."""

SHOWN = 2
"""Maximum number of settings in a label."""

Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A run that no mean includes, with the reason."""

    run: ReportedRun
    reason: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Runs of one configuration. runs: the finished ones, one per fold, in fold order.

    num_folds: number of folds in the split; settings: by dotted key, without those of no effect.
    """

    label: str
    runs: Sequence[ReportedRun]
    num_folds: int
    settings: Mapping[str, Any]

    @property
    def folds(self) -> list[int]:
        return [run.fold for run in self.runs if run.fold is not None]

    @property
    def missing(self) -> list[int]:
        """Return the folds of the split without a finished run."""
        return [fold for fold in range(1, self.num_folds + 1) if fold not in self.folds]

    @property
    def is_baseline(self) -> bool:
        """Return whether it is a model that a comparer has to beat, or one without training."""
        model = str(self.settings.get("model._target_"))
        return model.startswith(BASELINES) or self.settings.get("train.epochs") == 0

    def values(self, metric: str) -> dict[int, float]:
        """Return a metric by fold, where it is defined."""
        by_fold = zip(self.folds, (run.metrics.get(metric) for run in self.runs), strict=True)
        return {fold: float(value) for fold, value in by_fold if value is not None}

    def over_folds(self, metric: str) -> OverFolds:
        """Summarise a metric over the folds in which it is defined."""
        return over_folds(list(self.values(metric).values()))

    def table(
        self, name: str, texts: Sequence[str], numbers: Sequence[str] = ()
    ) -> pd.DataFrame | None:
        """Return a CSV file of all runs as one table; None if no run has it with these columns.

        The column `run` has the place of each row's run in `runs`.
        """
        found = [(place, run.table(name, texts, numbers)) for place, run in enumerate(self.runs)]
        tables = [table.assign(run=place) for place, table in found if table is not None]
        return pd.concat(tables, ignore_index=True) if tables else None


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
    """Group runs by recipe, and decide which recipes may be compared over the same folds."""
    recipes, left_out = recipes_of(runs)
    finished = [recipe for recipe in recipes if recipe.runs]
    refusals = {}
    for other in finished[1:]:
        reasons = list(reasons_against(finished[0], other))
        if reasons:
            refusals[other.label] = f"{other.label} has {listed(reasons)} than {finished[0].label}"
    return Subject(recipes=recipes, left_out=left_out, refusals=refusals)


def reasons_against(first: Recipe, second: Recipe) -> Iterator[str]:
    """Yield the reasons against a comparison; none if it is valid."""
    data, other_data = (
        {run.manifest.get("data_hash") for run in recipe.runs} for recipe in (first, second)
    )
    if data != other_data:
        yield "other data (data_hash)"
    splits, other_splits = (
        {run.fold: run.manifest.get("split_hash") for run in recipe.runs}
        for recipe in (first, second)
    )
    folds = [fold for fold in first.folds if fold in second.folds]
    split = [fold for fold in folds if splits[fold] != other_splits[fold]]
    if split:
        yield f"other images held out in {of_folds(split)} (split_hash)"
    if not folds:
        yield "other folds"
    for key, name in SETTINGS_OF_PAIRS.items():
        if first.settings.get(key) != second.settings.get(key):
            yield f"{name} ({key})"


def recipes_of(runs: Sequence[ReportedRun]) -> tuple[list[Recipe], list[LeftOut]]:
    """Return the recipes in the order named, and the runs that no mean includes."""
    by_key: dict[str, list[ReportedRun]] = {}
    for run in runs:
        if run.config:
            by_key.setdefault(_key(run), []).append(run)
    alike = list(by_key.values())
    settings = [recipe_settings(runs[0].config) for runs in alike]
    recipes = [
        Recipe(
            label=label,
            runs=_one_a_fold(runs),
            num_folds=int((runs[0].config.get("fold") or {}).get("k", 0)),
            settings=values,
        )
        for label, runs, values in zip(_labels(alike, settings), alike, settings, strict=True)
    ]
    averaged = {id(run) for recipe in recipes for run in recipe.runs}
    left_out = [
        LeftOut(run=run, reason=run.problem or "a later run of the same recipe and fold is here")
        for run in runs
        if id(run) not in averaged
    ]
    return recipes, left_out


def recipe_settings(config: Mapping[str, Any]) -> Values:
    """Return every setting that distinguishes recipes, by dotted key; no empty mappings."""
    return {key: value for key, value in flat(without(config, NOT_OF_A_RECIPE)) if value != {}}


def _key(run: ReportedRun) -> str:
    """Return a key that is equal for runs of one mean: all of one sweep, or all of none.

    Different swept values give different keys, even if they resolve to the same settings.
    """
    processes = run.manifest.get("num_processes", 1)  # each process takes its own batch
    parts = [str(run.sweep), run.name, run.swept, processes, recipe_settings(run.config)]
    return json.dumps(parts, sort_keys=True, default=str)


def _one_a_fold(runs: Sequence[ReportedRun]) -> list[ReportedRun]:
    """Return the finished run of each fold, the last to end if there are several."""
    finished = [run for run in runs if run.problem is None and run.fold is not None]
    by_end = sorted(finished, key=lambda run: str(run.manifest.get("end")))
    latest = {run.fold: run for run in by_end}
    return [latest[fold] for fold in sorted(latest, key=lambda fold: fold or 0)]


def _labels(alike: Sequence[Sequence[ReportedRun]], settings: Sequence[Values]) -> list[str]:
    """Return the recipes' names; equal names are followed by the settings that differ.

    alike: the runs of each recipe. If all recipes are of one sweep, its settings are enough.
    """
    one_sweep = len({(runs[0].sweep, runs[0].name) for runs in alike}) == 1
    names = [_name(runs[0], one_sweep) for runs in alike]
    first = {name: settings[names.index(name)] for name in names}
    labels = [
        name if names.count(name) == 1 else _distinguished(name, values, first[name], runs[0])
        for name, values, runs in zip(names, settings, alike, strict=True)
    ]
    seen: Counter[str] = Counter()
    for place, label in enumerate(labels):
        seen[label] += 1
        labels[place] = label if seen[label] == 1 else f"{label} #{seen[label]}"
    return labels


def _name(run: ReportedRun, one_sweep: bool) -> str:
    """Return the run's name, its swept settings such as ablation=no_swap, or both."""
    swept = ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in run.swept.items())
    if not swept:
        return run.name
    return swept if one_sweep else f"{run.name} ({swept})"


def _distinguished(name: str, values: Values, first: Values, run: ReportedRun) -> str:
    """Return the name with its few settings that differ from the first, or with its sweep."""
    changed = [f"{key}={values.get(key)}" for key in values if values[key] != first.get(key)]
    if 0 < len(changed) <= SHOWN:
        return f"{name} ({', '.join(changed)})"
    return f"{name} ({run.sweep.name})" if run.sweep else name
