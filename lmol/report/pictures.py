"""Pictures as data URIs, small enough that a page of many runs can be sent by mail."""

from __future__ import annotations

import base64
import io
from functools import cache
from pathlib import Path

from PIL import Image, ImageOps

from lmol.data.contents import content_hash
from lmol.data.images import open_rgb
from lmol.errors import DataError
from lmol.system.files import own_file

SIDE = 112
"""Side of a photograph in pixels, twice its size on the page."""

QUALITY = 82
CHART_WIDTH = 1300
CHART_COLORS = 128
"""Colours kept in a drawn picture; an octree keeps rare ones, such as that of one series."""


@cache
def photo_uri(path: str, content: str) -> str | None:
    """Return the middle square of an image file as JPEG; None if it is gone or another picture.

    content: the picture's hash in the run. Whoever wrote the run thus had the picture already: the
    page shows no other picture of this machine.
    """
    try:
        picture = open_rgb(path)
    except DataError:
        return None
    if content_hash(picture) != content:
        return None
    return _uri(ImageOps.fit(picture, (SIDE, SIDE)), "JPEG", quality=QUALITY)


def chart_uri(folder: Path, name: str) -> str | None:
    """Return a drawn picture of a run's folder as PNG of few colours; None if it is gone."""
    try:
        picture = open_rgb(own_file(folder, name))
    except (DataError, OSError):
        return None
    if picture.width > CHART_WIDTH:
        height = round(picture.height * CHART_WIDTH / picture.width)
        picture = picture.resize((CHART_WIDTH, height), Image.Resampling.LANCZOS)
    return _uri(picture.quantize(CHART_COLORS, Image.Quantize.FASTOCTREE), "PNG", optimize=True)


def _uri(picture: Image.Image, form: str, **options: object) -> str:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
