"""Picture of one step's gradient flow: layers in forward order, on a log scale.

A training run draws many of them. Axes, legend and thresholds are drawn once and kept; for a later
step only the points are drawn, which takes a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike
from PIL import Image

from lmol.audit.flow import common_norm, decades, grouped, joined, within
from lmol.audit.record import Table
from lmol.system.files import replacing

DPI = 90
COLOURS = {"lora_A": "#0072B2", "lora_B": "#D55E00", "projector": "#009E73"}
FURTHER = ("#CC79A7", "#E69F00", "#56B4E9")
"""Colours of other groups; all are distinct for colour-blind readers (Okabe and Ito 2008)."""

GREY, RED = "#767676", "#B00020"
NAMES = {"lora_A": "LoRA A", "lora_B": "LoRA B", "projector": "projector"}
ALL = "all"
"""Last column of the picture: the common norm, to which the thresholds apply."""


MANY = 12
"""Number of columns beyond which their names are short and slanted."""


@dataclass(frozen=True, kw_only=True)
class Marks:
    """Thresholds to draw. tiny: norms up to it count as zero; clip: None without clipping."""

    tiny: float
    clip: float | None
    high: float
    explosion: float


class FlowPicture:
    """Drawer of one model's gradient tables, step after step."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self.limits: Any = None
        """Limits of both axes, which only grow; None before the first picture."""
        self._canvas: FigureCanvasAgg | None = None
        self._background: Any = None
        self._moving: list[Artist] = []
        self._colours: dict[str, str] = {}

    def draw(self, table: Table, step: int, path: Path) -> None:
        """Write the picture of one step. table: columns of gradient_table."""
        columns, groups = grouped(table)
        common = (common_norm(table["norm"]), common_norm(table["norm_clipped"]))
        limits = (
            decades(group[name] for group in groups.values() for name in ("mean", "largest")),
            decades(
                (group[name] for group in groups.values() for name in ("norm", "clipped")), common
            ),
        )
        fits = within(limits, self.limits)
        if not fits:
            self.limits = joined(limits, self.limits)
        if self._canvas is None or not fits:
            self._begin(columns, list(groups))
        self._move(groups, step, common, len(columns))
        self._save(path)

    def _begin(self, columns: list[str], groups: list[str]) -> None:
        """Draw the parts that stay the same for all steps, and keep them."""
        further = cycle(FURTHER)
        self._colours = {name: COLOURS.get(name) or next(further) for name in groups}
        figure = Figure(figsize=(11, 7), dpi=DPI)
        self._canvas = FigureCanvasAgg(figure)
        figure.subplots_adjust(left=0.085, right=0.985, top=0.9, bottom=0.13, hspace=0.12)
        elements, norms = figure.subplots(2, 1, sharex=True)
        self._stay(elements, norms, columns)
        self._moving = self._artists(figure, elements, norms)
        for artist in self._moving:
            artist.set_animated(True)
        self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(figure.bbox)

    def _stay(self, elements: Axes, norms: Axes, columns: list[str]) -> None:
        assert self.limits is not None
        marks = self._marks
        for axes, (low, high) in zip((elements, norms), self.limits, strict=True):
            axes.set_yscale("log")
            axes.minorticks_off()
            axes.set_ylim(low, high)
            axes.set_xlim(-0.7, len(columns) + 0.6)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", color="#E4E4E4", linewidth=0.6)
            axes.set_axisbelow(True)
        elements.set_ylabel("size of elements:\nmean to largest")
        norms.set_ylabel("L2 norm: filled before,\nhollow after clipping")
        shown = _labels([*columns, ALL])
        rotation = 0 if len(shown) <= MANY else 60
        norms.set_xticks(range(len(shown)), shown, rotation=rotation, fontsize=9)
        norms.set_xlabel("in forward order: modules outside of layers, layers, then all together")
        _thresholds(elements, {f"zero: a norm up to {marks.tiny:g}": marks.tiny})
        common = {"explosion": marks.explosion, "high": marks.high, "clipped to": marks.clip or 0.0}
        _thresholds(norms, {f"{name} {value:g}": value for name, value in common.items() if value})
        _legend(elements, self._colours)

    def _artists(self, figure: Figure, elements: Axes, norms: Axes) -> list[Artist]:
        """Return the changing parts: a title, and by group the lines and points of both panels."""
        title = figure.text(0.085, 0.935, "", fontsize=13)
        artists: list[Artist] = [title]
        for name, colour in self._colours.items():
            style: dict[str, Any] = {"color": colour, "clip_on": False}
            ranges = elements.vlines([], [], [], linewidth=2.2, color=colour, alpha=0.55)
            ranges.set_label(name)
            points = [
                elements.plot([], [], "o", markersize=5, **style)[0],
                elements.plot([], [], "x", markersize=9, markeredgewidth=2, color=RED)[0],
                elements.plot([], [], "v", markersize=7, color=RED, fillstyle="none")[0],
                norms.plot([], [], "o", markersize=5, **style)[0],
                norms.plot([], [], "o", markersize=7, fillstyle="none", **style)[0],
            ]
            artists += [ranges, *points]
        artists += [
            norms.plot([], [], "D", markersize=6, color="black")[0],
            norms.plot([], [], "D", markersize=8, color="black", fillstyle="none")[0],
        ]
        return artists

    def _move(
        self,
        groups: Mapping[str, pd.DataFrame],
        step: int,
        common: tuple[float, float],
        place_of_all: int,
    ) -> None:
        """Move the changing parts. common: the norm of all gradients before and after clipping."""
        assert self.limits is not None
        title, *artists = self._moving
        title.set(text=f"Gradient flow, step {step}: norm {common[0]:.3g}, clipped {common[1]:.3g}")
        for diamond, value in zip(artists[-2:], common, strict=True):
            shown = np.array([value])[np.array([value]) > 0]
            _put(diamond, np.full(len(shown), float(place_of_all)), shown)
        floor = self.limits[0][0] * 1.3
        for place, name in enumerate(self._colours):
            ranges, mean, missing, zero, norm, clipped = artists[6 * place : 6 * place + 6]
            group = groups[name]
            positive, absent = group[group["mean"] > 0], group["missing"]
            lines = zip(positive["x"], positive["mean"], positive["largest"], strict=True)
            ranges.set(segments=[[(x, low), (x, high)] for x, low, high in lines])
            _put(mean, positive["x"], positive["mean"])
            for line, at_floor in ((missing, absent), (zero, ~(group["mean"] > 0) & ~absent)):
                _put(line, group["x"][at_floor], np.full(at_floor.sum(), floor))
            for line, column in ((norm, "norm"), (clipped, "clipped")):
                _put(line, group["x"][group[column] > 0], group[column][group[column] > 0])

    def _save(self, path: Path) -> None:
        canvas = self._canvas
        assert canvas is not None
        canvas.restore_region(self._background)
        renderer = canvas.get_renderer()
        for artist in self._moving:
            if not isinstance(artist, Line2D) or np.size(artist.get_xdata()):
                artist.draw(renderer)
        size = canvas.get_width_height()
        drawn = Image.frombuffer("RGBA", size, canvas.buffer_rgba()).convert("RGB")
        with replacing(path) as unfinished:
            drawn.save(unfinished, format="PNG", compress_level=1)


def _thresholds(axes: Axes, marks: Mapping[str, float]) -> None:
    """Draw labelled dashed lines; for thresholds outside the axes, write a note at that side."""
    low, high = axes.get_ylim()
    style: dict[str, Any] = {"color": RED, "fontsize": 8.5}
    for text, value in marks.items():
        if low < value < high:
            axes.axhline(value, color=RED, linestyle="--", linewidth=0.9)
            axes.text(axes.get_xlim()[0] + 0.05, value * 1.1, text, va="bottom", **style)
    above = [text for text, value in marks.items() if value >= high]
    below = [text for text, value in marks.items() if value <= low]
    for place, align, texts, arrow in ((0.98, "top", above, "↑"), (0.1, "bottom", below, "↓")):
        if texts:
            label = f"{', '.join(texts)} {arrow}"
            axes.text(0.996, place, label, transform=axes.transAxes, va=align, ha="right", **style)


def _legend(axes: Axes, colours: Mapping[str, str]) -> None:
    handles = [
        Line2D([], [], color=colour, marker="o", linewidth=2.2, label=NAMES.get(name, name))
        for name, colour in colours.items()
    ]
    handles += [
        Line2D([], [], color=RED, marker="v", linestyle="", fillstyle="none", label="zero"),
        Line2D([], [], color=RED, marker="x", linestyle="", label="no gradient"),
    ]
    axes.legend(
        handles=handles, ncols=len(handles), frameon=False, fontsize=9,
        loc="lower right", bbox_to_anchor=(1.0, 1.0),
    )  # fmt: skip


def _labels(columns: list[str]) -> list[str]:
    """Return the column names; with many layers, only their numbers."""
    if len(columns) > MANY:
        return columns
    return [f"layer {column}" if column.isdigit() else column for column in columns]


def _put(line: Artist, x: ArrayLike, y: ArrayLike) -> None:
    line.set(data=(x, y))
