"""Pictures as data URIs, small enough that a page of many runs can be sent by mail."""

from __future__ import annotations

import base64
import io
from functools import cache
from pathlib import Path

from PIL import Image, ImageOps

from lmol.data.images import open_rgb
from lmol.errors import DataError

SIDE = 112
"""Side of a photograph in pixels, twice its size on the page."""

QUALITY = 82
CHART_WIDTH = 1300
CHART_COLORS = 128
"""Colours kept in a drawn picture; an octree keeps rare ones, such as that of one series."""


@cache
def photo_uri(path: str | None) -> str | None:
    """Return the middle square of an image file as JPEG; None if it is gone or no image."""
    if path is None:
        return None
    try:
        square = ImageOps.fit(open_rgb(path), (SIDE, SIDE))
    except DataError:
        return None
    return _uri(square, "JPEG", quality=QUALITY)


def chart_uri(path: Path) -> str | None:
    """Return a drawn picture as PNG of few colours; None if it is gone or no image."""
    try:
        picture = open_rgb(path)
    except DataError:
        return None
    if picture.width > CHART_WIDTH:
        height = round(picture.height * CHART_WIDTH / picture.width)
        picture = picture.resize((CHART_WIDTH, height), Image.Resampling.LANCZOS)
    return _uri(picture.quantize(CHART_COLORS, Image.Quantize.FASTOCTREE), "PNG", optimize=True)


def _uri(picture: Image.Image, form: str, **options: object) -> str:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
