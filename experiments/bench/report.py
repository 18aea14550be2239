"""What every measurement does with its rows: print them, draw them, and write them where asked."""

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
    """--json and --plot; a plot goes to outputs/bench/<name>.png by default."""
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--plot", type=Path, default=Path(f"outputs/bench/{name}.png"))


def report(
    rows: Sequence[Row], arguments: argparse.Namespace, label: str, values: Sequence[str]
) -> None:
    """Print the rows; draw the columns `values` as bars named by the column `label`."""
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.3f}".format))
    arguments.plot.parent.mkdir(parents=True, exist_ok=True)
    bars(table, label, values).savefig(arguments.plot, dpi=150)
    if arguments.json:
        arguments.json.write_text(json.dumps(list(rows), indent=2) + "\n")


def bars(table: pd.DataFrame, label: str, values: Sequence[str]) -> Figure:
    """A panel for each of the columns; a value that was not measured has no bar."""
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
