"""Recipes: groups of runs that differ only in the fold; missing folds are named."""

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
"""Keys and groups of settings that do not distinguish recipes."""

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

    def values(self, metric: str) -> dict[int, float]:
        """Return a metric by fold, where it is defined."""
        by_fold = zip(self.folds, (run.metrics.get(metric) for run in self.runs), strict=True)
        return {fold: float(value) for fold, value in by_fold if value is not None}


def recipes_of(runs: Sequence[ReportedRun]) -> tuple[list[Recipe], list[LeftOut]]:
    """Return the recipes in the order named, and the runs that no mean includes."""
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
    """Return every setting that distinguishes recipes, by dotted key."""
    return dict(flat(without(config, NOT_OF_A_RECIPE)))


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and their values; a list is a value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _key(run: ReportedRun) -> str:
    """Return a key that is equal for runs of one mean: all of one sweep, or all of none.

    Different swept values give different keys, even if they resolve to the same settings.
    """
    processes = run.manifest.get("num_processes", 1)  # each process takes its own batch
    parts = [str(run.sweep), run.name, run.swept, processes, recipe_settings(run.config)]
    return json.dumps(parts, sort_keys=True, default=str)


def _one_a_fold(group: Sequence[ReportedRun]) -> list[ReportedRun]:
    """Return the finished run of each fold, the last to end if there are several."""
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
    """Return the recipes' names; equal names are followed by the settings that differ.

    If all recipes are of one sweep, its settings are enough.
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
    """Return the run's name, its swept settings such as ablation=no_swap, or both."""
    swept = ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in run.swept.items())
    if not swept:
        return run.name
    return swept if one_sweep else f"{run.name} ({swept})"


def _told_apart(name: str, values: Values, first: Values, run: ReportedRun) -> str:
    changed = [f"{key}={values.get(key)}" for key in values if values[key] != first.get(key)]
    if 0 < len(changed) <= SHOWN:
        return f"{name} ({', '.join(changed)})"
    return f"{name} ({run.sweep.name})" if run.sweep else name
