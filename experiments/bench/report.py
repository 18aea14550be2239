"""Output of a measurement: a printed table, a plot, and, with --json, its rows in a file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

Row = dict[str, Any]


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Add --json and --plot; the default plot is outputs/bench/<name>.png."""
    parser.add_argument("--json", type=Path, help="file that receives the rows")
    parser.add_argument("--plot", type=Path, default=Path(f"outputs/bench/{name}.png"))


def report(
    rows: Sequence[Row], arguments: argparse.Namespace, label: str, values: Sequence[str]
) -> None:
    """Print and save the rows; draw the columns `values` as bars with the names in `label`."""
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.3f}".format))
    save(list(rows), bars(table, label, values), arguments)


def save(rows: object, figure: Figure | None, arguments: argparse.Namespace) -> None:
    """Write the figure to --plot and, with --json, the rows as JSON."""
    if figure is not None:
        arguments.plot.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(arguments.plot, dpi=150)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def bars(table: pd.DataFrame, label: str, values: Sequence[str]) -> Figure:
    """Return a figure with one panel per column; a value that was not measured has no bar."""
    figure = Figure(figsize=(4.5 * len(values), 0.8 + 0.45 * len(table)), layout="constrained")
    for axes, value in zip(figure.subplots(1, len(values), squeeze=False)[0], values, strict=True):
        numbers = pd.to_numeric(table[value], errors="coerce")
        drawn = axes.barh(table[label].astype(str), numbers.fillna(0.0))
        texts = ["not measured" if pd.isna(number) else f"{number:.3g}" for number in numbers]
        axes.bar_label(drawn, texts, padding=3)
        axes.set_xlabel(value)
        axes.margins(x=0.2)
        axes.invert_yaxis()
    return figure
