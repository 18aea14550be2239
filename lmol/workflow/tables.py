"""What a command shows on the terminal when it answers a question."""

from __future__ import annotations

import pandas as pd
from rich.markup import escape
from rich.table import Table

from lmol.inference.comparison import Comparison
from lmol.verdict import Verdict

COLUMNS = ("rank", "image", "group", "score", "estimate", "strength", "stderr")

ENDS = 10
"""Rows that are shown of either end of a long ranking."""


def table_of_comparison(comparison: Comparison) -> Table:
    """The verdict and the three probabilities of a pair."""
    table = Table(title=f"{comparison.verdict.title}", title_justify="left")
    table.add_column("answer")
    table.add_column("image", overflow="fold")
    table.add_column("probability", justify="right")
    names = {Verdict.FIRST: comparison.first, Verdict.SECOND: comparison.second}
    for verdict, (title, probability) in zip(
        Verdict, comparison.probabilities.items(), strict=True
    ):
        style = "bold" if verdict is comparison.verdict else None
        table.add_row(title, escape(names.get(verdict, "")), f"{probability:.3f}", style=style)
    agree = "agree" if comparison.consistent else "do not agree"
    table.caption = f"mean of both orders, which {agree}"
    return table


def table_of_ranking(ranking: pd.DataFrame) -> Table:
    """A ranking, of a long one both ends."""
    table = Table(title=f"{len(ranking)} images, best first", title_justify="left")
    shown = [name for name in COLUMNS if name in ranking]
    for name in shown:
        table.add_column(name, justify="left" if name == "image" else "right", overflow="fold")
    cut = len(ranking) > 2 * ENDS
    head, tail = (ranking.head(ENDS), ranking.tail(ENDS)) if cut else (ranking, ranking[:0])
    for row in head[shown].itertuples(index=False):
        table.add_row(*map(_cell, row))
    if cut:
        table.add_row(*["..."] * len(shown))
    for row in tail[shown].itertuples(index=False):
        table.add_row(*map(_cell, row))
    return table


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else escape(str(value))
