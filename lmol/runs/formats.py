"""The version of the stored files of runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmol.errors import RunFolderError

FORMAT = 1
KEY = "format"


def require_format(path: Path, stored: Mapping[str, Any]) -> None:
    """Raise RunFolderError if a stored mapping has another version.

    A mapping without a version has version 0: its model names no class, and its base has another
    fingerprint.
    """
    found = stored.get(KEY, 0)
    if found != FORMAT:
        raise RunFolderError(
            path,
            got=f"format {found}",
            expected=f"format {FORMAT}, which this version of LMOL reads",
            remedy="use the version of LMOL that wrote it (manifest.json names it)",
        )
