"""Plots as inline SVG: axes, lines, dots and bars; the page's CSS sets colours by class.

Coordinates are in units of the data, pixels in units of the view box.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from lmol.report.numbers import MINUS, percent

Point = tuple[float, float]
Limits = tuple[float, float]

LEFT, RIGHT, TOP, BOTTOM = 52.0, 20.0, 10.0, 42.0
"""Pixels around the plot: room for the numbers and names of the axes."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis. limits: in units of the data; title: with its unit; share: show per cent."""

    limits: Limits
    title: str
    share: bool = False

    def ticks(self, most: int) -> list[float]:
        """Return round numbers within the limits."""
        steps = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(*self.limits)
        slack = 1e-9 * (self.limits[1] - self.limits[0])
        return [float(t) for t in steps if self.limits[0] - slack <= t <= self.limits[1] + slack]

    def text(self, tick: float) -> str:
        shown = percent(tick).replace(".0 %", " %") if self.share else f"{tick:.6g}"
        return shown.replace("-", MINUS)


class Plot:
    """A drawing to which methods add elements; `markup` returns it."""

    def __init__(
        self, x: Axis, y: Axis, *, width: float = 360, height: float = 270, left: float = LEFT
    ) -> None:
        self._x, self._y = x, y
        self._width, self._height, self._left = width, height, left
        box = f"0 0 {width:g} {height:g}"
        self._root = ElementTree.Element("svg", viewBox=box, role="img")

    def grid(self) -> None:
        """Draw lines at the ticks of both axes, and their numbers."""
        for tick in self._y.ticks(5):
            y = self._down(tick)
            self._element("line", "grid", x1=self._left, x2=self._width - RIGHT, y1=y, y2=y)
            self._text(self._y.text(tick), self._left - 6, y + 4, "end")
        self.grid_across()

    def grid_across(self) -> None:
        """Draw the ticks of the x axis only."""
        for tick in self._x.ticks(6):
            x = self._across(tick)
            self._element("line", "grid", x1=x, x2=x, y1=TOP, y2=self._height - BOTTOM)
            self._text(self._x.text(tick), x, self._height - BOTTOM + 15, "middle")

    def line(self, points: Iterable[Point], style: str) -> None:
        """Draw a polyline; without points, draw nothing."""
        path = self._path(points, "L")
        if path:
            self._element("path", f"line {style}", d=path)

    def dots(self, points: Iterable[Point], style: str, tooltips: Sequence[str] = ()) -> None:
        """Draw a dot per point. tooltips: one text per point."""
        points = list(points)
        if not tooltips and points:
            self._element("path", f"dots {style}", d=self._path(points, "M", "h0"))
        for (x, y), text in zip(points, tooltips, strict=False):
            dot = self._element("circle", f"dot {style}", cx=self._across(x), cy=self._down(y), r=4)
            ElementTree.SubElement(dot, "title").text = text

    def segment(self, start: Point, end: Point, style: str) -> None:
        """Draw a straight line, such as an interval or a reference."""
        self._element(
            "line", style, x1=self._across(start[0]), y1=self._down(start[1]),
            x2=self._across(end[0]), y2=self._down(end[1]),
        )  # fmt: skip

    def box(self, low: Point, high: Point, style: str, opacity: float) -> None:
        """Draw a filled rectangle."""
        x, y = self._across(low[0]), self._down(high[1])
        width, height = self._across(high[0]) - x, self._down(low[1]) - y
        box = self._element("rect", style, x=x, y=y, width=width, height=height)
        box.set("fill-opacity", f"{opacity:.3f}")

    def label(self, point: Point, text: str, style: str = "", anchor: str = "middle") -> None:
        """Write a text with its base line at the point."""
        self._text(text, self._across(point[0]), self._down(point[1]), anchor, style)

    def row_name(self, y: float, text: str) -> None:
        """Write a text at the left of a row."""
        self._text(text, self._left - 8, self._down(y) + 4, "end")

    def markup(self, description: str) -> Markup:
        """Write the titles of both axes; return the SVG element.

        description: for readers who cannot see it.
        """
        middle = (self._left + self._width - RIGHT) / 2
        self._text(self._x.title, middle, self._height - 8, "middle", "axis")
        if self._y.title:
            y = (TOP + self._height - BOTTOM) / 2
            turned = self._text(self._y.title, 12, y, "middle", "axis")
            turned.set("transform", f"rotate(-90 12 {y:g})")
        self._root.set("aria-label", description)
        return Markup(ElementTree.tostring(self._root, encoding="unicode"))

    def _across(self, x: float) -> float:
        return _scaled(x, self._x.limits, (self._left, self._width - RIGHT))

    def _down(self, y: float) -> float:
        return _scaled(y, self._y.limits, (self._height - BOTTOM, TOP))

    def _path(self, points: Iterable[Point], verb: str, after: str = "") -> str:
        places = [f"{self._across(x):.1f} {self._down(y):.1f}{after}" for x, y in points]
        return "M" + verb.join(places) if places else ""

    def _element(self, kind: str, style: str, **values: object) -> ElementTree.Element:
        attributes = {
            name: f"{v:.1f}" if isinstance(v, float) else str(v) for name, v in values.items()
        }
        return ElementTree.SubElement(self._root, kind, {"class": style, **attributes})

    def _text(
        self, text: str, x: float, y: float, anchor: str, style: str = ""
    ) -> ElementTree.Element:
        element = self._element("text", style, x=x, y=y)
        element.set("text-anchor", anchor)
        element.text = text
        return element


def _scaled(value: float, limits: Limits, pixels: Limits) -> float:
    share = (value - limits[0]) / (limits[1] - limits[0])
    return pixels[0] + share * (pixels[1] - pixels[0])


def limits_of(values: Iterable[float], *, margin: float = 0.05) -> Limits:
    """Return the smallest and the largest value with a margin; (0, 1) without values."""
    known = [value for value in values if value == value]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    room = margin * (high - low) or 0.5 * abs(high) or 0.5
    return low - room, high + room


def thinned(points: Sequence[Point], most: int = 240) -> Sequence[Point]:
    """Return at most about `most` points of a long curve, each the mean of its neighbours."""
    if len(points) <= most:
        return points
    size = -(-len(points) // most)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(fmean(x for x, _ in group), fmean(y for _, y in group)) for group in groups]
