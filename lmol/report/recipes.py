"""Runs that differ in the fold alone are one recipe; folds that it lacks are named."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmol.config.signature import WITHOUT_EFFECT, without
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
"""Keys and groups that do not make another recipe."""

SHOWN = 2
"""Settings in a label, at most."""

Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A run that is in no mean, and why."""

    run: ReportedRun
    reason: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Runs of one configuration. runs: finished ones, one a fold, in the order of the folds.

    num_folds: of the split; settings: by dotted key, without what has no effect.
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
        """Folds of the split without a finished run."""
        return [fold for fold in range(1, self.num_folds + 1) if fold not in self.folds]

    def values(self, metric: str) -> dict[int, float]:
        """A metric by fold, where it is defined."""
        by_fold = zip(self.folds, (run.metrics.get(metric) for run in self.runs), strict=True)
        return {fold: float(value) for fold, value in by_fold if value is not None}


def recipes_of(runs: Sequence[ReportedRun]) -> tuple[list[Recipe], list[LeftOut]]:
    """Recipes in the order in which they were named, and the runs in none of their means."""
    groups: dict[str, list[ReportedRun]] = {}
    for run in runs:
        if run.config:
            groups.setdefault(_key(run), []).append(run)
    kept = [_one_a_fold(group) for group in groups.values()]
    left_out = [_left_out(run, kept) for run in runs if not _is_in(run, kept)]
    settings = [recipe_settings(group[0].config) for group in groups.values()]
    labels = _labels(list(groups.values()), settings)
    recipes = [
        Recipe(label=label, runs=finished, num_folds=_num_folds(group[0]), settings=values)
        for label, finished, group, values in zip(
            labels, kept, groups.values(), settings, strict=True
        )
    ]
    return recipes, left_out


def recipe_settings(config: Mapping[str, Any]) -> Values:
    """Every setting that makes a recipe, by dotted key."""
    return dict(flat(without(config, NOT_OF_A_RECIPE)))


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values; a list is a value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _key(run: ReportedRun) -> str:
    """The same for runs that may stand in one mean: of one sweep, or both of none.

    What a sweep sets is told apart even where it comes to the same settings.
    """
    processes = run.manifest.get("num_processes", 1)  # each takes a batch of its own
    parts = [str(run.sweep), run.name, run.swept, processes, recipe_settings(run.config)]
    return json.dumps(parts, sort_keys=True, default=str)


def _one_a_fold(group: Sequence[ReportedRun]) -> list[ReportedRun]:
    """Of runs of the same fold, the one that ended last."""
    finished = [run for run in group if run.problem is None and run.fold is not None]
    by_end = sorted(finished, key=lambda run: str(run.manifest.get("end")))
    latest = {run.fold: run for run in by_end}
    return [latest[fold] for fold in sorted(latest, key=lambda fold: fold or 0)]


def _is_in(run: ReportedRun, kept: Sequence[Sequence[ReportedRun]]) -> bool:
    return any(run is other for group in kept for other in group)


def _left_out(run: ReportedRun, kept: Sequence[Sequence[ReportedRun]]) -> LeftOut:
    return LeftOut(run=run, reason=run.problem or "a later run of the same recipe and fold is here")


def _num_folds(run: ReportedRun) -> int:
    return int((run.config.get("fold") or {}).get("k", 0))


def _labels(groups: Sequence[Sequence[ReportedRun]], settings: Sequence[Values]) -> list[str]:
    """Names of recipes; of the same name, what tells them apart stands behind it.

    Where all are of one sweep, what it set is enough.
    """
    one_sweep = len({(group[0].sweep, group[0].name) for group in groups}) == 1
    names = [_name(group[0], one_sweep) for group in groups]
    first = {name: settings[names.index(name)] for name in names}
    labels = [
        name if names.count(name) == 1 else _told_apart(name, values, first[name], group[0])
        for name, values, group in zip(names, settings, groups, strict=True)
    ]
    seen: Counter[str] = Counter()
    for place, label in enumerate(labels):
        seen[label] += 1
        labels[place] = label if seen[label] == 1 else f"{label} #{seen[label]}"
    return labels


def _name(run: ReportedRun, one_sweep: bool) -> str:
    """A sweep's settings by the last part of their keys: ablation=no_swap."""
    swept = ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in run.swept.items())
    if not swept:
        return run.name
    return swept if one_sweep else f"{run.name} ({swept})"


def _told_apart(name: str, values: Values, first: Values, run: ReportedRun) -> str:
    changed = [f"{key}={values.get(key)}" for key in values if values[key] != first.get(key)]
    if 0 < len(changed) <= SHOWN:
        return f"{name} ({', '.join(changed)})"
    return f"{name} ({run.sweep.name})" if run.sweep else name
