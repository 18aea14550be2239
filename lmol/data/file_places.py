"""The files that image names lead to, links followed: each once, and below the data root."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lmol.config.paths import shown
from lmol.errors import DataError

NAMED = 3
"""Images that a message names."""


def real_files(paths: Iterable[str]) -> list[str]:
    """Return the files with all links followed; each folder is resolved once."""
    folders: dict[str, str] = {}
    return [_real_file(path, folders) for path in paths]


def _real_file(path: str, folders: dict[str, str]) -> str:
    folder, name = os.path.split(path)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    file = os.path.join(folders[folder], name)  # noqa: PTH118 - Path raises for a name too long
    linked = os.path.islink(file)  # noqa: PTH114
    return os.path.realpath(file) if name in ("", "..") or linked else str(Path(file))


def refuse_repeats(images: pd.DataFrame, files: pd.Series) -> None:
    """Raise DataError for one file under two names, which could be on both sides of a split."""
    repeated = images[files.duplicated(keep=False)]
    if len(repeated):
        one = repeated[files[repeated.index] == files[repeated.index[0]]]
        raise DataError(
            "images",
            got=f"one file under the names {' and '.join(one['image'])}",
            expected="each image once: a fold must not train on what it holds out",
            remedy="remove all rows of a file but one",
        )


def refuse_outside(images: pd.DataFrame, files: pd.Series, root: Path) -> None:
    """Raise DataError if a file is not below the data root, which may itself be a link."""
    inside = os.path.join(os.path.realpath(root), "")  # noqa: PTH118 - with a last slash
    rows = zip(images["image"], files, strict=True)
    outside = [f"{name} is {file}" for name, file in rows if not file.startswith(inside)]
    if outside:
        more = ", ..." if len(outside) > NAMED else ""
        raise DataError(
            "images",
            got=f"{len(outside)} of {len(files)} whose file is not below {root}: "
            f"{shown(', '.join(outside[:NAMED]))}{more}",
            expected="files below data.root: no absolute name, .. or link leads out of it",
            remedy="put them there, name a folder that holds all with data.root=..., or allow it "
            "with data.outside=true",
        )
