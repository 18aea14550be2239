"""Comparison of recipes over shared folds: differences, tests, plain sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lmol.evaluation.metric import Metric
from lmol.report.blocks import Block, Cell, Figure, Figures, Section, Table, Text
from lmol.report.charts import draw_differences
from lmol.report.numbers import METRICS, between, fixed, number_cell, of_folds, probability, signed
from lmol.report.recipes import Recipe, Subject
from lmol.report.statistics import FEWEST, PairedDifference, compare

METHOD = (
    "Differences are paired by fold. Interval and p are those of the corrected resampled t-test "
    "(Nadeau and Bengio 2003, Machine Learning 52): training sets of different folds overlap, but "
    "the ordinary paired t-test assumes independent folds and finds too many differences; its p is "
    "given only for comparison. With J folds and a ratio of held-out to training images of "
    "{ratio}, the variance of the mean difference is (1/J + {ratio}) s², with J − 1 degrees of "
    "freedom. p is two-sided and not adjusted for the number of metrics and recipes: of twenty "
    "comparisons without a true difference, one is expected to have p < .05."
)

TABLE = "Mean difference from {first}, by metric; negative values are below {first}."

FIGURE = (
    "A small dot is a fold, the large one the mean, the bar its 95 % interval (corrected resampled "
    "t-test). If the bar crosses the line at 0, the difference is not significant."
)

SHOWN = ("accuracy", "pearson")
"""Metrics that always get a sentence; another metric gets one if its difference is significant."""

ALPHA = 0.05
FEW = 5
"""With fewer folds, a difference still has to be confirmed."""


def comparison_section(subject: Subject) -> Section | None:
    """Compare every recipe with the first; return None if there is only one."""
    if len(subject.finished) < 2:
        return None
    first, *others = subject.finished
    allowed = [other for other in others if other.label not in subject.refusals]
    blocks: list[Block] = [_refused(other, subject) for other in others if other not in allowed]
    for other in allowed:
        blocks += _compared(first, other)
    if allowed:
        ratio = fixed(test_by_train(first), 2)
        blocks.append(Text(sentences=[METHOD.format(ratio=ratio)], heading="Method"))
    return Section(key="comparison", title=f"Compared with {first.label}", blocks=blocks)


def test_by_train(recipe: Recipe) -> float:
    """Return the ratio of held-out to training images in images.csv; 1 / (k - 1) without one."""
    for run in recipe.runs:
        images = run.table("images.csv", ["part"])
        if images is not None and (images["part"] == "train").any():
            parts = images["part"].value_counts()
            return float(parts.get("held_out", 0) / parts["train"])
    return 1.0 / max(recipe.num_folds - 1, 1)


def _refused(other: Recipe, subject: Subject) -> Text:
    reason = subject.refusals[other.label]
    advice = "A paired comparison needs the same images, scores and folds; none is made here."
    return Text(sentences=[f"{reason}. {advice}"], refusal=True, heading=f"{other.label}: refused")


def _compared(first: Recipe, other: Recipe) -> Iterator[Block]:
    ratio = test_by_train(first)
    found = {
        metric: comparison
        for metric in METRICS
        if (comparison := compare(first.values(metric.key), other.values(metric.key), ratio))
    }
    shown = [pair for pair in found.items() if pair[0].key in SHOWN or is_significant(pair[1])]
    sentences = [conclusion(first.label, other.label, *pair) for pair in shown]
    yield Text(sentences=sentences, heading=f"{other.label} against {first.label}")
    yield _table(first, found)
    drawing = draw_differences({metric.title: comparison for metric, comparison in found.items()})
    title = f"{other.label} minus {first.label}"
    yield Figures(caption=FIGURE, figures=[Figure(title=title, drawing=drawing, wide=True)])


def _table(first: Recipe, found: Mapping[Metric, PairedDifference]) -> Table:
    folds = sorted({fold for comparison in found.values() for fold in comparison.by_fold})
    by_fold = [f"fold {fold}" for fold in folds]
    columns = ("metric", "folds", *by_fold, "mean", "95 % interval", "p", "p, uncorrected")
    rows = [_row(metric, comparison, folds) for metric, comparison in found.items()]
    caption = TABLE.format(first=first.label)
    return Table(caption=caption, columns=columns, rows=rows, numeric=range(1, len(columns)))


def _row(metric: Metric, found: PairedDifference, folds: list[int]) -> list[Cell]:
    differences = [found.by_fold.get(fold) for fold in folds]
    return [
        Cell(text=metric.title),
        Cell(text=str(found.num), value=found.num),
        *(number_cell(value, signed) for value in differences),
        Cell(text=signed(found.mean), value=found.mean, strong=True),
        Cell(text=between(found.low, found.high, sign=True), value=found.low),
        number_cell(found.p, probability),
        number_cell(found.p_uncorrected, probability),
    ]


def conclusion(first: str, other: str, metric: Metric, found: PairedDifference) -> str:
    """Return sentences about one metric: which conclusion is possible, and which is not."""
    folds = f"{found.num} shared folds" if found.num > 1 else "the one shared fold"
    title = metric.title[0].upper() + metric.title[1:]
    opening = f"{title}: over {folds} {other} {_is(found.mean)} {first}"
    return f"{opening}. {_what_follows(found)}"


def _is(mean: float) -> str:
    size = fixed(abs(mean))
    if size == fixed(0.0):
        return "is to three digits equal to"
    return f"is {size} {'higher' if mean > 0 else 'lower'} than"


def _what_follows(found: PairedDifference) -> str:
    if found.low is None or found.high is None:
        return (
            f"A test needs {FEWEST} shared folds or more, as fewer do not show how much the "
            "difference varies between folds: neither interval nor p is given, and no conclusion "
            "about other folds or other data is possible."
        )
    if found.p is None:
        return (
            "The difference is the same in all folds, so that there is no variance to test it "
            "against: no test is made."
        )
    interval = f"95 % interval {between(found.low, found.high, sign=True)}, p = "
    interval = (interval + probability(found.p)).replace("= <", "<")
    if is_significant(found):
        return f"The difference is significant ({interval}). {_limits(found)}"
    reach = fixed((found.high - found.low) / 2)
    return (
        f"The difference is not significant ({interval}): given the variation between folds, only "
        f"a mean difference beyond {reach} would be. This is no evidence that the two are equal."
    )


def is_significant(found: PairedDifference) -> bool:
    """Return whether the corrected test rejects that there is no difference."""
    return found.p is not None and found.p < ALPHA


def _limits(found: PairedDifference) -> str:
    if found.num < FEW:
        return (
            f"It is based only on {of_folds(sorted(found.by_fold))}: run all folds before you "
            "rely on it."
        )
    return "It holds for this data set and these seeds; another data set may differ."
