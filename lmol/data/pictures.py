"""Images to compare or rank: files, a folder, a table, or pictures in memory."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from lmol.config.paths import read_path
from lmol.data.contents import content_hash
from lmol.data.formats import refuse_unread
from lmol.data.image_files import find_images, refuse_unwritable
from lmol.data.images import Picture, open_rgb, read_images
from lmol.data.sources.label_file import BadLines, parse_score
from lmol.data.sources.table_file import read_rows
from lmol.errors import DataError

log = logging.getLogger(__name__)

TABLES = (".csv", ".tsv")
PASSED_OVER = "passed_over"
NAMED = 3
"""Maximum number of scores that a message names."""


def picture_table(pictures: Picture | Sequence[Picture] | pd.DataFrame) -> pd.DataFrame:
    """Return the table image (a name), path (the picture or its place), content (a hash).

    pictures: a folder (all images below it), a CSV file or a DataFrame with the column image and
    perhaps score and group (paths are relative to the file), or single pictures. Every file is
    decoded once. Other files in a folder are logged, and counted in passed_over. Raises DataError
    if there is no image, or one cannot be used.
    """
    table = _table(pictures)
    if table.empty:
        raise _no_images("a table or list without rows")
    _refuse_repeated(table["image"])
    refuse_unwritable(table["image"])
    files = [path for path in table["path"] if isinstance(path, str)]
    refuse_unread(files)
    by_file = dict(zip(files, read_images(files, content_hash), strict=True))
    contents = [
        by_file[path] if isinstance(path, str) else content_hash(open_rgb(path))
        for path in table["path"]
    ]
    return table.assign(content=contents)


def passed_over(table: pd.DataFrame) -> dict[str, int]:
    """Return the numbers of files that picture_table left out of the folder, by reason."""
    return dict(table.attrs.get(PASSED_OVER, {}))


def _table(pictures: Any) -> pd.DataFrame:
    if isinstance(pictures, pd.DataFrame):
        return _located(pictures, Path.cwd())
    if isinstance(pictures, str | Path):
        return _at(Path(read_path("images", pictures)))
    single = isinstance(pictures, Image.Image) or hasattr(pictures, "ndim")
    return _rows(_named(picture, n) for n, picture in enumerate([pictures] if single else pictures))


def _at(place: Path) -> pd.DataFrame:
    """Return the table of a folder's images, of a table's, or of the one image."""
    try:
        is_folder = stat.S_ISDIR(place.stat().st_mode)
    except OSError as error:
        raise DataError(
            "images",
            got=f"{place} ({error.strerror})",
            expected="a folder, a table or an image",
            remedy=f"check the name; relative ones are below {Path.cwd()}",
        ) from error
    if is_folder:
        return _below(place)
    return _read(place) if place.suffix.lower() in TABLES else _rows([_named(place, 0)])


def _below(folder: Path) -> pd.DataFrame:
    """Return the images of a folder; log what was taken, as a warning if some may be missing."""
    found = find_images(folder)
    level = logging.WARNING if found.may_miss_some() else logging.INFO
    log.log(level, "%s: %s", folder, found.description())
    if not found.files:
        raise _no_images(f"{folder}: {found.description()}")
    files = found.files
    table = _rows((str(file.relative_to(folder)), str(file.absolute())) for file in files)
    table.attrs[PASSED_OVER] = found.counts()
    return table


def _rows(rows: Iterable[tuple[str, Picture]]) -> pd.DataFrame:
    found = list(rows)
    names = pd.Series([name for name, _ in found], dtype=str)
    return pd.DataFrame({"image": names, "path": pd.Series([p for _, p in found], dtype=object)})


def _named(picture: Picture, number: int) -> tuple[str, Picture]:
    """Return a picture with its name: its path, or its place in the list."""
    if isinstance(picture, str | Path):
        path = read_path("images", picture)
        return path, str(Path(path).absolute())
    return f"image {number + 1}", picture


def _read(path: Path) -> pd.DataFrame:
    """Return a table with the column image and, if the file has them, score and group."""
    faults = BadLines(path)
    rows = []
    for number, row in read_rows(path, ("image",), faults):
        with faults.at(number):
            score = {"score": parse_score(row["score"])} if "score" in row else {}
            rows.append(row | score)
    faults.refuse()
    return _located(pd.DataFrame(rows, columns=None if rows else ["image"]), path.parent)


def _located(table: pd.DataFrame, root: Path) -> pd.DataFrame:
    if "image" not in table:
        raise DataError(
            "images",
            got=f"a table with the columns {', '.join(map(str, table.columns))}",
            expected="the column image, and perhaps score and group",
            remedy="name the column of the paths image",
        )
    _refuse_nameless(table)
    if "score" in table:
        _refuse_infinite(table)
    paths = [str((root / name).absolute()) for name in table["image"]]
    kept = [column for column in ("image", "score", "group") if column in table]
    return table[kept].reset_index(drop=True).assign(path=paths)


def _refuse_nameless(table: pd.DataFrame) -> None:
    """Raise DataError if a value of the column image is no path."""
    nameless = [name for name in table["image"] if not isinstance(name, str | Path) or not name]
    if nameless:
        raise DataError(
            "images",
            got=f"{len(nameless)} of {len(table)} values that are no path, {nameless[0]!r} first",
            expected="a path in each row of the column image",
            remedy="take these rows out, or give pictures in memory as a list",
        )


def _refuse_infinite(table: pd.DataFrame) -> None:
    """Raise DataError if a score is no finite number."""
    numbers = pd.to_numeric(table["score"], errors="coerce")
    bad = table[~np.isfinite(numbers)]
    if len(bad) or not pd.api.types.is_numeric_dtype(table["score"]):
        named = [f"{row.score!r} of {row.image}" for row in bad.head(NAMED).itertuples()]
        raise DataError(
            "images",
            got=f"{len(bad)} of {len(table)} scores that are no finite numbers"
            + (f": {', '.join(named)}" if named else f", but a column of {table['score'].dtype}"),
            expected="a number for each image, or no column score",
            remedy="fill in the missing scores, or leave the column out",
        )


def _refuse_repeated(names: pd.Series) -> None:
    repeated = names[names.duplicated()].unique()
    if len(repeated):
        others = f", and {len(repeated) - 1} other(s)" if len(repeated) > 1 else ""
        raise DataError(
            "images",
            got=f"{repeated[0]} more than once{others}",
            expected="each image once",
            remedy="take the repetitions out",
        )


def _no_images(found: str) -> DataError:
    return DataError(
        "images",
        got=f"no image in {found}",
        expected="images, such as .jpg and .png files, below the folder or in the list",
        remedy="name another folder with images=folder/",
    )
