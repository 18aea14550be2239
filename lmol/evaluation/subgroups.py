"""Accuracy and bias of the judge by group of images.

n images, P pairs, R replicates, G groups.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lmol.evaluation.answers import Floats
from lmol.evaluation.intervals import ImageBootstrap, Indices, mean_of_images, with_interval
from lmol.evaluation.judged import Booleans, JudgedPairs
from lmol.evaluation.metrics import Metrics, correlation_metrics
from lmol.evaluation.permutation import GroupPermutations

FEWEST_IMAGES = 10
"""Minimum size of a group with an interval and a headline; fewer images are not informative."""

MOST_CROSSED = 20
"""Maximum number of groups with a row for every two; with more, only all pairs together."""

GAPS = ("subgroup_gap", "subgroup_bias", "within_across_gap")
TESTED = ("subgroup_gap_p", "subgroup_bias_p")
NO_GROUPS: Metrics = {name + end: None for name in GAPS for end in ("", "_low", "_high")}
NO_GROUPS |= dict.fromkeys(TESTED)
"""The headlines of a score table without groups."""

OF_SCORES = ("pearson", "spearman", "mean_error")
"""Columns of a group that need scores."""

UNKNOWN = np.empty(0)
"""Samples of a value without an interval."""


class Comparison(NamedTuple):
    """A row of the table: pairs within one group, across two, or all within or all across.

    groups: positions among the names; `kind` decides whether one, two or all.
    """

    kind: str
    groups: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Subgroups:
    """Judged pairs of n images that have groups.

    images: a score table of n rows; an image with an empty group belongs to none. strengths,
    estimates: shape (n,), in its order; without estimates there are no mean errors.
    """

    judged: JudgedPairs
    images: pd.DataFrame
    strengths: Floats
    estimates: Floats | None
    bootstrap: ImageBootstrap

    def table(self) -> pd.DataFrame:
        """Return a row per group, per two groups, for all pairs within, and for all across.

        Columns kind, group, other, images, pairs, accuracy, order_consistency and, within a group,
        pearson and spearman of its strengths and mean_error, the mean of estimate - score in
        points; all but order_consistency also with <name>_low and <name>_high. NaN if a group has
        fewer than two images or no pair, and for intervals below FEWEST_IMAGES per group.
        """
        table = pd.DataFrame([self._row(comparison) for comparison in self._comparisons])
        known = ("kind", "group", "other", "images", "pairs")
        return table.astype({name: float for name in table.columns if name not in known})

    def metrics(self, table: pd.DataFrame) -> Metrics:
        """Return the headlines of this table, each with its interval; None if not defined.

        subgroup_gap: largest minus smallest accuracy within a group. subgroup_bias: largest minus
        smallest mean error of a group, in points of score. Both, and their intervals, are of the
        groups that `extreme_groups` returns: two groups chosen for their distance seem further
        apart than they are. subgroup_gap_p, subgroup_bias_p: share of random groupings that are at
        least as far apart. within_across_gap: accuracy of all pairs within a group minus that of
        all pairs across.
        """
        accuracy, errors = extreme_groups(table, "accuracy"), extreme_groups(table, "mean_error")
        totals = tuple(table.index[table["kind"].isin(["all within", "all across"])])
        gap = self._gap(table, "accuracy", accuracy, self._accuracy_samples)
        bias = self._gap(table, "mean_error", errors, self._error_samples)
        within_across = self._gap(table, "accuracy", totals, self._accuracy_samples)
        headlines = {
            f"{name}{end}": value
            for name, found in zip(GAPS, (gap, bias, within_across), strict=True)
            for end, value in found.items()
        }
        return headlines | self._tests()

    def _tests(self) -> Metrics:
        """Return p-values of the gaps between groups that are large enough for an interval."""
        large = [c.groups[0] for c in self._comparisons if c.kind == "within" and self._is_large(c)]
        dealt = GroupPermutations(
            self._codes, np.array(large), len(self.bootstrap.counts), self.bootstrap.seed
        )
        bias = None if self._errors is None else dealt.of_means(self._errors)
        return dict(zip(TESTED, (dealt.of_accuracy(self.judged), bias), strict=True))

    def _gap(
        self,
        table: pd.DataFrame,
        column: str,
        rows: tuple[int, ...],
        samples: Callable[[Comparison], Floats],
    ) -> dict[str, float | None]:
        """Return the difference of two rows in a column, by ending: "", _low and _high."""
        if len(rows) < 2 or table.loc[list(rows), column].isna().any():
            return with_interval("", None, UNKNOWN)
        high, low = rows
        between = samples(self._comparisons[high]) - samples(self._comparisons[low])
        return with_interval("", float(table[column][high] - table[column][low]), between)

    @property
    def _errors(self) -> Floats | None:
        """Return estimate - score, shape (n,)."""
        if self.estimates is None:
            return None
        return self.estimates - self.images["score"].to_numpy()

    @cached_property
    def _names(self) -> list[str]:
        return group_names(self.images)

    @cached_property
    def _codes(self) -> Indices:
        """Return the position of each image's group among the names, -1 for none: shape (n,)."""
        return np.asarray(
            pd.Index(self._names).get_indexer(pd.Index(self.images["group"])), np.int64
        )

    @cached_property
    def _pair_codes(self) -> tuple[Indices, Indices]:
        """Return the lower and the higher group of both images of each pair: shape (P,) each."""
        first, second = self._codes[self.judged.first], self._codes[self.judged.second]
        return np.minimum(first, second), np.maximum(first, second)

    @cached_property
    def _comparisons(self) -> list[Comparison]:
        groups = tuple(range(len(self._names)))
        crossed = combinations(groups, 2) if len(groups) <= MOST_CROSSED else ()
        return [
            *(Comparison("within", (group,)) for group in groups),
            *(Comparison("across", both) for both in crossed),
            Comparison("all within", groups),
            Comparison("all across", groups),
        ]

    def _row(self, comparison: Comparison) -> dict[str, Any]:
        chosen, images = self._pairs(comparison), self._images(comparison)
        names = [self._names[group] for group in comparison.groups]
        value = float(self.judged.right[chosen].mean()) if chosen.any() else None
        consistent = float(self.judged.consistent[chosen].mean()) if chosen.any() else None
        row = {
            "kind": comparison.kind,
            "group": "" if comparison.kind.startswith("all") else names[0],
            "other": names[1] if comparison.kind == "across" else "",
            "images": images.size,
            "pairs": int(chosen.sum()),
            **with_interval("accuracy", value, self._accuracy_samples(comparison)),
            "order_consistency": consistent,
        }
        return row | self._of_group(comparison) if comparison.kind == "within" else row

    def _of_group(self, group: Comparison) -> dict[str, float | None]:
        """Return values of a group's images, not its pairs: correlations and the mean error."""
        values: Metrics = {}
        samples = {"mean_error": self._error_samples(group)}
        images, errors = self._images(group), self._errors
        if errors is not None:
            values["mean_error"] = float(np.mean(errors[images]))
        if "score" in self.images:
            scores = self.images["score"].to_numpy()
            values |= correlation_metrics(scores[images], self.strengths[images], None)
            if self._is_large(group):
                samples |= self.bootstrap.correlations(scores, self.strengths, images)
        found: Metrics = {}
        for name in OF_SCORES:
            found |= with_interval(name, values.get(name), samples.get(name, UNKNOWN))
        return found

    def _pairs(self, comparison: Comparison) -> Booleans:
        """Return which pairs belong to a row, shape (P,)."""
        lower, higher = self._pair_codes
        match comparison.kind:
            case "all within":
                return (lower == higher) & (lower >= 0)
            case "all across":
                return (lower != higher) & (lower >= 0)
            case _:
                return (lower == comparison.groups[0]) & (higher == comparison.groups[-1])

    def _images(self, comparison: Comparison) -> Indices:
        return np.flatnonzero(np.isin(self._codes, comparison.groups))

    def _is_large(self, comparison: Comparison) -> bool:
        """Return whether each of one or two groups, or all together, suffice for an interval."""
        sizes = np.bincount(self._codes[self._images(comparison)])[list(comparison.groups)]
        return bool((sizes.sum() if len(sizes) > 2 else sizes.min()) >= FEWEST_IMAGES)

    def _accuracy_samples(self, comparison: Comparison) -> Floats:
        chosen = self._pairs(comparison)
        if not (chosen.any() and self._is_large(comparison)):
            return UNKNOWN
        return self.judged.accuracy_samples(chosen, self.bootstrap)

    def _error_samples(self, comparison: Comparison) -> Floats:
        errors, images = self._errors, self._images(comparison)
        if errors is None or not self._is_large(comparison):
            return UNKNOWN
        return mean_of_images(self.bootstrap.counts[:, images], errors[images])


def group_names(images: pd.DataFrame) -> list[str]:
    """Return a score table's group names in order, without the empty one; [] for fewer than two."""
    names = sorted(set(images["group"]) - {""}) if "group" in images else []
    return names if len(names) >= 2 else []


def extreme_groups(table: pd.DataFrame, column: str) -> tuple[int, ...]:
    """Return the row numbers of the groups with the largest and the smallest value of a column.

    Only groups large enough for an interval count; empty if there are fewer than two.
    """
    large = (table["kind"] == "within") & table[f"{column}_low"].notna()
    rows, values = np.flatnonzero(large), table.loc[large, column].to_numpy()
    return (int(rows[values.argmax()]), int(rows[values.argmin()])) if len(rows) >= 2 else ()
