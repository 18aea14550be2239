"""Suffixes of photo files; the module lets Pillow read HEIC if pillow-heif is installed.

The package imports it, so that every process that opens images reads the same formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image

from lmol.errors import DataError

with suppress(ModuleNotFoundError):  # an extra
    from pillow_heif import register_heif_opener

    register_heif_opener()

Image.init()

NO_PHOTOS = {
    "BLP", "BUFR", "CUR", "DCX", "EPS", "FITS", "FLI", "FTEX", "GBR", "GRIB", "HDF5", "ICNS", "ICO",
    "IPTC", "MPEG", "MSP", "PCD", "PIXAR", "WMF", "XBM", "XPM",
}  # fmt: skip
"""Formats that are no photos, though Pillow knows them: data, films, drawings, icons, textures."""

HEIF = frozenset((".heic", ".heics", ".heif", ".heifs", ".hif"))

PHOTOS = HEIF | frozenset(
    (".avif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2")
)
"""Suffixes of photos that only some versions of Pillow read, or no version."""

REMEDY = "pip install 'lmol[heif]'"


def read_suffixes() -> set[str]:
    """Return the suffixes of photos that this Pillow reads, in lower case."""
    registered = Image.registered_extensions().items()
    return {end for end, kind in registered if kind in Image.OPEN and kind not in NO_PHOTOS}


def refuse_unread(paths: Sequence[str]) -> None:
    """Raise DataError if a path is a HEIC image and pillow-heif is not installed."""
    heif = [path for path in paths if Path(path).suffix.lower() in HEIF - read_suffixes()]
    if heif:
        raise DataError(
            "images",
            got=f"{len(heif)} HEIC image(s), {heif[0]} first",
            expected="formats that Pillow reads here",
            remedy=f"{REMEDY}, or convert them to JPEG or PNG",
        )
