"""Terminal tables of a comparison and of a ranking."""

from __future__ import annotations

import pandas as pd
from rich.markup import escape
from rich.table import Table

from lmol.config.paths import shown
from lmol.inference.comparison import Comparison
from lmol.verdict import Verdict

COLUMNS = ("rank", "image", "group", "score", "estimate", "strength", "stderr")

ENDS = 10
"""Rows of each end of a long ranking that are shown."""


def table_of_comparison(comparison: Comparison) -> Table:
    """Return a table of the three probabilities of a pair, with the answer as its title."""
    table = Table(title=comparison.verdict.title, title_justify="left")
    table.add_column("answer")
    table.add_column("image", overflow="fold")
    table.add_column("probability", justify="right")
    names = {Verdict.FIRST: comparison.first, Verdict.SECOND: comparison.second}
    for verdict, (title, probability) in zip(
        Verdict, comparison.probabilities.items(), strict=True
    ):
        style = "bold" if verdict is comparison.verdict else None
        table.add_row(
            title, escape(shown(names.get(verdict, ""))), f"{probability:.3f}", style=style
        )
    agree = "agree" if comparison.consistent else "do not agree"
    table.caption = f"mean of both orders, which {agree}"
    return table


def table_of_ranking(ranking: pd.DataFrame) -> Table:
    """Return a table of a ranking; of a long one, both ends."""
    table = Table(title=f"{len(ranking)} images, best first", title_justify="left")
    shown = [name for name in COLUMNS if name in ranking]
    for name in shown:
        table.add_column(name, justify="left" if name == "image" else "right", overflow="fold")
    rows = [[_cell(value) for value in row] for row in ranking[shown].itertuples(index=False)]
    if len(rows) > 2 * ENDS:
        rows[ENDS:-ENDS] = [["..."] * len(shown)]
    for row in rows:
        table.add_row(*row)
    return table


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else escape(shown(str(value)))
