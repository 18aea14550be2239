"""The release of SCUT-FBP5500 (v2): 5,500 portraits, scores 1 to 5, five official folds.

Liang, Lin, Jin, Xie and Li, "SCUT-FBP5500: A diverse benchmark dataset for multi-paradigm facial
beauty prediction", ICPR 2018.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lmol.data.data_set import DataSet, Labels
from lmol.data.sources.label_file import read_labels
from lmol.data.sources.scut_copy import SOURCE, ScutCopy
from lmol.errors import DataError

log = logging.getLogger(__name__)

LOW, HIGH = 1.0, 5.0

GROUPS = {"fty": "AF", "mty": "AM", "ftw": "CF", "mtw": "CM"}
"""Older prefixes of file names to the release's: Asian and Caucasian, female and male."""

NAMED = 3
"""Images that a log line names."""


@dataclass(frozen=True, kw_only=True)
class ScutFBP5500:
    """Source of the release below `root`; a copy with only labels.txt and Images/ has no folds.

    Images have the release's names, also if files and lists use the older names.
    """

    root: Path | None

    def load(self) -> DataSet:
        """Return images with score and group; image is the name in the release."""
        copy = self._copy()
        labels, folder = _labels(copy.labels()), copy.images()
        files = _by_name(folder, (path.name for path in folder.iterdir()))
        _log_unscored(folder, sorted(set(files) - set(labels)))
        images = pd.DataFrame(
            {
                "image": list(labels),
                "path": [str(folder / files.get(name, name)) for name in labels],
                "score": list(labels.values()),
                "group": [group_of(name) for name in labels],
            }
        )
        return DataSet(images=images)

    def official_folds(self) -> list[tuple[Path, Labels, Path, Labels]]:
        """Return (train file, its labels, test file, its labels) of the five official folds.

        Raises DataError if the lists are missing.
        """
        copy = self._copy()
        pairs = [copy.lists(fold) for fold in range(1, 6)]
        return [(train, _labels(train), test, _labels(test)) for train, test in pairs]

    def _copy(self) -> ScutCopy:
        if self.root is None or not Path(self.root).is_dir():
            raise DataError(
                "data.root",
                got="no folder" if self.root is None else f"{self.root}, which is no folder",
                expected="the folder of SCUT-FBP5500",
                remedy=SOURCE,
            )
        return ScutCopy(Path(self.root).absolute())


def _labels(path: Path) -> Labels:
    """Return scores by the release's names."""
    if not path.is_file():
        raise DataError(
            path,
            got="nothing there",
            expected="the five folds of the release",
            remedy=SOURCE,
        )
    labels = read_labels(path, LOW, HIGH)
    return {name: labels[given] for name, given in _by_name(path, labels).items()}


def _by_name(where: Path, given: Iterable[str]) -> dict[str, str]:
    """Return given names by the release's; raise DataError if two are of one image."""
    found: dict[str, str] = {}
    for name in given:
        other = found.setdefault(canonical(name), name)
        if other != name:
            raise DataError(
                where,
                got=f"{name} and {other}, two names of one image",
                expected="each image once, under its older or its newer name",
                remedy="remove one of the two",
            )
    return found


def _log_unscored(folder: Path, names: list[str]) -> None:
    if names:
        more = ", ..." if len(names) > NAMED else ""
        log.info("%s: %d file(s) without a score are passed over (%s%s)",
                 folder, len(names), ", ".join(names[:NAMED]), more)  # fmt: skip


def canonical(name: str) -> str:
    """Return the release's name for an older or newer name: ftw437.jpg is CF437.jpg."""
    match = re.fullmatch(r"([a-z]{3})(\d+\.\w+)", name)
    if match is None or match[1] not in GROUPS:
        return name
    return GROUPS[match[1]] + match[2]


def group_of(name: str) -> str:
    """Return AF, AM, CF or CM, or "" for a name of another form."""
    prefix = canonical(name)[:2]
    return prefix if prefix in GROUPS.values() else ""
