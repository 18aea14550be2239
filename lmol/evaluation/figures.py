"""What all pictures share: size, colours, titles, thumbnails, and how a figure becomes a file.

Figures are built without pyplot, so that nothing global is touched and no display is needed; a file
appears under its name only when it is complete.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from lmol.data.images import Picture, open_rgb
from lmol.system.files import replacing

DPI = 150
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#767676"
"""Two colours that the colour-blind tell apart (Okabe and Ito 2008), and one for the rest."""

THUMBNAIL = 256
"""Pixels of a side of an image in a picture."""


def thumbnail(picture: Picture) -> Image.Image:
    """The middle square of a picture; raises DataError where a file is no image."""
    return ImageOps.fit(open_rgb(picture), (THUMBNAIL, THUMBNAIL))


def titled(axes: Axes, title: str, x: str, y: str) -> None:
    """Give axes their title and the names of both axes, and take the idle spines away.

    A title may hold names of the user's, in which a dollar sign is no mathematics.
    """
    axes.set_title(title, fontsize=12, parse_math=False)
    axes.set_xlabel(x, fontsize=11)
    axes.set_ylabel(y, fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG of DPI dots an inch; the same figure gives the same bytes."""
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=DPI, metadata={"Software": None})
