"""Images that somebody wants compared or ranked: files, a folder, a table, or in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from lmol.data.contents import content_hash, identities
from lmol.data.images import Picture, open_rgb
from lmol.errors import DataError

TABLE = ".csv"

Image.init()
READ = frozenset(Image.OPEN)
"""Formats that Pillow opens; some it only writes."""


def picture_table(pictures: Picture | Sequence[Picture] | pd.DataFrame) -> pd.DataFrame:
    """The table image (a name), path (whatever holds the picture), content (a hash).

    pictures: a folder (all images below it), a CSV file or a DataFrame with the column image and
    perhaps score and group (paths are relative to the file), or single pictures. Every file is
    decoded once. Raises DataError where there is none, or one cannot be used.
    """
    table = _table(pictures)
    if table.empty:
        raise _none(pictures)
    _refuse_repeated(table["image"])
    files = [path for path in table["path"] if isinstance(path, str)]
    by_file = dict(zip(files, identities(files)["content"], strict=True))
    contents = [
        by_file[path] if isinstance(path, str) else content_hash(open_rgb(path))
        for path in table["path"]
    ]
    return table.assign(content=contents)


def _table(pictures: Any) -> pd.DataFrame:
    if isinstance(pictures, pd.DataFrame):
        return _located(pictures, Path.cwd())
    if isinstance(pictures, str | Path):
        place = Path(pictures).expanduser()
        if place.suffix.lower() == TABLE:
            return _read(place)
        files = _images_below(place) if place.is_dir() else [place]
        root = place if place.is_dir() else Path()
        return _rows((str(file.relative_to(root)), str(file.absolute())) for file in files)
    single = isinstance(pictures, Image.Image) or hasattr(pictures, "ndim")
    return _rows(_named(picture, n) for n, picture in enumerate([pictures] if single else pictures))


def _rows(rows: Iterable[tuple[str, Picture]]) -> pd.DataFrame:
    found = list(rows)
    names = pd.Series([name for name, _ in found], dtype=str)
    return pd.DataFrame({"image": names, "path": pd.Series([p for _, p in found], dtype=object)})


def _named(picture: Picture, number: int) -> tuple[str, Picture]:
    """Its path, or its place in the list."""
    if isinstance(picture, str | Path):
        return str(picture), str(Path(picture).expanduser().absolute())
    return f"image {number + 1}", picture


def _images_below(folder: Path) -> list[Path]:
    suffixes = {ending for ending, kind in Image.registered_extensions().items() if kind in READ}
    found = (file for file in folder.rglob("*") if file.suffix.lower() in suffixes)
    return sorted(file for file in found if file.is_file())


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype={"image": str, "group": str}, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(
            path,
            got=f"no readable table ({error})",
            expected="a CSV file with the column image, and perhaps score and group",
            remedy="check the name and the header",
        ) from error
    return _located(table, path.parent)


def _located(table: pd.DataFrame, root: Path) -> pd.DataFrame:
    if "image" not in table:
        raise DataError(
            "images",
            got=f"a table with the columns {', '.join(map(str, table.columns))}",
            expected="the column image, and perhaps score and group",
            remedy="name the column of the paths image",
        )
    if "score" in table and not _all_finite(table["score"]):
        raise DataError(
            "images",
            got="a column score that holds more than finite numbers",
            expected="a number for each image, or no column score",
            remedy="fill in the missing scores, or leave the column out",
        )
    paths = [str((root / name).absolute()) for name in table["image"]]
    kept = [column for column in ("image", "score", "group") if column in table]
    return table[kept].reset_index(drop=True).assign(path=paths)


def _all_finite(scores: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(scores) and np.isfinite(scores).all())


def _refuse_repeated(names: pd.Series) -> None:
    repeated = names[names.duplicated()].unique()
    if len(repeated):
        raise DataError(
            "images",
            got=f"{repeated[0]} more than once",
            expected="each image once",
            remedy="take the repetition out",
        )


def _none(pictures: object) -> DataError:
    return DataError(
        "images",
        got=f"no image in {pictures}",
        expected="images, such as .jpg and .png files, below the folder or in the list",
        remedy="name another folder with images=folder/",
    )
