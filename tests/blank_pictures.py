"""Figures that draw nothing, for tests that are not about pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure, FigureBase
from PIL import Image

from lmol.audit.plots import FlowPicture


class BlankAxes:
    """Axes that take every call and draw nothing; what they return does the same."""

    def __getattr__(self, name: str) -> "BlankAxes":
        if name.startswith("__"):  # what NumPy and copy ask for is not drawing
            raise AttributeError(name)
        return self

    def __getitem__(self, key: Any) -> "BlankAxes":
        return self

    def __call__(self, *arguments: Any, **options: Any) -> "BlankAxes":
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())


def blank_subplots(
    figure: Figure, rows: int = 1, columns: int = 1, *, squeeze: bool = True, **options: Any
) -> Any:
    axes = np.full((rows, columns), BlankAxes(), dtype=object)
    found = axes.squeeze() if squeeze else axes
    return found if found.ndim else found.item()


def save_blank(figure: Figure | None, path: Any, **options: Any) -> None:
    Image.new("RGB", (8, 8)).save(path, format="PNG")


def draw_blank(plot: FlowPicture, table: pd.DataFrame, step: int, path: Path) -> None:
    save_blank(None, path)


def take_blank(figure: Figure, *arguments: Any, **options: Any) -> BlankAxes:
    return BlankAxes()


BLANK = {
    (FigureBase, "subplots"): blank_subplots,
    (FigureBase, "add_subplot"): take_blank,
    (FigureBase, "add_axes"): take_blank,
    (FigureBase, "legend"): take_blank,
    (Figure, "savefig"): save_blank,
    (FlowPicture, "draw"): draw_blank,
}
"""Blank methods of figures for tests that check no picture; drawing takes a third of a training."""

DRAWING = {(kind, name): getattr(kind, name) for kind, name in BLANK}

Methods = dict[tuple[type, str], Any]


def set_methods(patch: pytest.MonkeyPatch, methods: Methods) -> None:
    for (kind, name), method in methods.items():
        patch.setattr(kind, name, method)


def draw_in_earnest(patch: pytest.MonkeyPatch) -> None:
    """For fixtures of a module or the session, which no mark of a test reaches."""
    set_methods(patch, DRAWING)
