"""A ranking as a contact sheet: the images themselves, best first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lmol.data.images import Picture
from lmol.evaluation.figures import save, shortened, thumbnail

COLUMNS = 8
MOST = 24
"""Maximum number of images on a sheet; a longer ranking shows as many of both ends."""


def plot_ranked(table: pd.DataFrame, pictures: Mapping[str, Picture], path: Path) -> None:
    """Draw the sheet. table: that of RankedImages; pictures: by the name of the image."""
    cut = len(table) > MOST
    shown = pd.concat([table.head(MOST // 2), table.tail(MOST // 2)]) if cut else table
    rows = -(-len(shown) // COLUMNS)
    figure = Figure(figsize=(1.55 * COLUMNS, 2.15 * rows + 0.4), layout="constrained")
    ends = f", the {MOST // 2} best and the {MOST // 2} worst of them" if cut else ""
    figure.suptitle(f"{len(table):,} images ranked{ends}", fontsize=12, fontweight="bold")
    for axes in figure.subplots(rows, COLUMNS, squeeze=False).flat:
        axes.set_axis_off()
    for axes, (_, row) in zip(figure.axes, shown.iterrows(), strict=False):
        axes.imshow(thumbnail(pictures[row["image"]]))
        axes.set_title(_caption(row), fontsize=8.5, parse_math=False)
    save(figure, path)


def _caption(row: Any) -> str:
    lines = [f"#{row['rank']}  {shortened(Path(str(row['image'])).name, 18)}"]
    if "estimate" in row:
        lines.append(f"estimate {row['estimate']:.2f}")
    else:
        lines.append(f"{row['strength']:+.2f} ± {row['stderr']:.2f}")
    if "score" in row:
        lines.append(f"score {row['score']:.2f}")
    return "\n".join(lines)
