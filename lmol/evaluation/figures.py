"""Common parts of all pictures: size, colours, titles, thumbnails, and saving to a file.

Figures are built without pyplot, so that no global state changes and no display is needed; a file
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
"""Two colours that colour-blind readers can distinguish (Okabe and Ito 2008), and a grey."""

THUMBNAIL = 256
"""Side of an image in a picture, in pixels."""


def thumbnail(picture: Picture) -> Image.Image:
    """Return the middle square of a picture; raise DataError if a file is no image."""
    return ImageOps.fit(open_rgb(picture), (THUMBNAIL, THUMBNAIL))


def shortened(text: str, most: int) -> str:
    """Return the end of a text, the most informative part of a path, in at most `most` letters."""
    return text if len(text) <= most else f"...{text[3 - most :]}"


def titled(axes: Axes, title: str, x: str, y: str) -> None:
    """Set the title and the names of both axes, and hide the idle spines.

    A title may hold names from the user, in which a dollar sign is not mathematics.
    """
    axes.set_title(title, fontsize=12, parse_math=False)
    axes.set_xlabel(x, fontsize=11)
    axes.set_ylabel(y, fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG of DPI dots per inch; the same figure gives the same bytes."""
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=DPI, metadata={"Software": None})
