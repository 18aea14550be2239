"""The answer about two images, and a picture of it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from matplotlib.figure import Figure
from PIL import Image

from lmol.evaluation.figures import BLUE, GREY, shortened, thumbnail
from lmol.verdict import TITLES, Verdict


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Answer about two images. Probabilities are means over both orders and add up to 1.

    first, second: the names of the images. consistent: whether the answer to (second, first) was
    the exchanged answer to (first, second). In a notebook the object shows itself as a picture.
    """

    first: str
    second: str
    verdict: Verdict
    p_first: float
    p_second: float
    p_similar: float
    consistent: bool
    pictures: tuple[Image.Image, Image.Image] = field(repr=False, compare=False)

    @property
    def probabilities(self) -> dict[str, float]:
        """Return the probabilities by answer: First, Second, Similar."""
        return dict(zip(TITLES, (self.p_first, self.p_second, self.p_similar), strict=True))

    def figure(self) -> Figure:
        """Draw both images and a bar per answer."""
        figure = Figure(figsize=(6.4, 2.4), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.0, 0.9, 1.0))
        shown = zip((left, right), self.pictures, (self.first, self.second), strict=True)
        for axes, picture, name in shown:
            axes.imshow(thumbnail(picture))
            axes.set_axis_off()
            axes.set_title(shortened(name, 28), fontsize=9, parse_math=False)
        colors = [BLUE if title == self.verdict.title else GREY for title in TITLES]
        bars = middle.barh(TITLES, list(self.probabilities.values()), color=colors)
        middle.bar_label(bars, [f"{p:.0%}" for p in self.probabilities.values()], padding=2)
        middle.set(xlim=(0.0, 1.25), xticks=[])
        middle.invert_yaxis()
        middle.spines[:].set_visible(False)
        middle.tick_params(length=0)
        middle.set_title(self.verdict.title, fontsize=11, fontweight="bold")
        return figure

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.figure().savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()
