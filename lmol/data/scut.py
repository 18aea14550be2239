"""SCUT-FBP5500 (v2), as released: 5,500 portraits, scores 1 to 5, five official folds.

Liang, Lin, Jin, Xie and Li, "SCUT-FBP5500: A diverse benchmark dataset for multi-paradigm facial
beauty prediction", ICPR 2018.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lmol.data.label_file import Labels, read_labels
from lmol.errors import DataError

LOW, HIGH = 1.0, 5.0

GROUPS = {"fty": "AF", "mty": "AM", "ftw": "CF", "mtw": "CM"}
"""Asian and Caucasian, female and male: older prefixes of file names to the release's."""

LISTS = Path("train_test_files")
FOLDS = LISTS / "5_folders_cross_validations_files"

TREE = f"""expected tree:
    SCUT-FBP5500_v2/
      Images/                 5,500 images, AF1.jpg ... CM750.jpg
      {LISTS}/All_labels.txt
      {FOLDS}/cross_validation_1/train_1.txt, test_1.txt ... 5"""

SOURCE = (
    "get it from github.com/HCIILAB/SCUT-FBP5500-Database-Release (non-commercial research only) "
    "and name its folder with data.root=...\n  " + TREE
)


@dataclass(frozen=True, kw_only=True)
class ScutFBP5500:
    """The release below `root`; a copy with only labels.txt and Images/ has no official folds."""

    root: Path | None

    def load(self) -> pd.DataFrame:
        """The score table image, path, score, group; image is the name in the label file."""
        labels = read_labels(self._label_file(), LOW, HIGH)
        files = {canonical(path.name): path for path in self._folder("Images").iterdir()}
        paths = [str(files.get(canonical(name), self._root() / "Images" / name)) for name in labels]
        return pd.DataFrame(
            {
                "image": list(labels),
                "path": paths,
                "score": list(labels.values()),
                "group": [group_of(name) for name in labels],
            }
        )

    def official_folds(self) -> list[tuple[Path, Labels, Path, Labels]]:
        """(train file, its labels, test file, its labels) of the five official folds.

        Raises DataError where the lists are not there.
        """
        folds = []
        for k in range(1, 6):
            train, test = (
                self._folder(FOLDS) / f"cross_validation_{k}" / f"{part}_{k}.txt"
                for part in ("train", "test")
            )
            folds.append((train, self._list(train), test, self._list(test)))
        return folds

    def _list(self, path: Path) -> Labels:
        if not path.is_file():
            raise self._missing(path)
        return read_labels(path, LOW, HIGH)

    def _label_file(self) -> Path:
        candidates = [self._root() / LISTS / "All_labels.txt", self._root() / "labels.txt"]
        for path in candidates:
            if path.is_file():
                return path
        raise self._missing(candidates[0])

    def _root(self) -> Path:
        if self.root is None or not Path(self.root).is_dir():
            raise DataError(
                "data.root",
                got="no folder" if self.root is None else f"{self.root}, which is no folder",
                expected="the folder of SCUT-FBP5500",
                remedy=SOURCE,
            )
        return Path(self.root).absolute()

    def _folder(self, name: str | Path) -> Path:
        path = self._root() / name
        if not path.is_dir():
            raise self._missing(path)
        return path

    def _missing(self, path: Path) -> DataError:
        return DataError(
            path,
            got="nothing there",
            expected="the release's layout (a copy with only labels.txt needs fold=seeded)",
            remedy=SOURCE,
        )


def canonical(name: str) -> str:
    """The release's name of an image of either generation: ftw437.jpg is CF437.jpg."""
    match = re.fullmatch(r"([a-z]{3})(\d+\.\w+)", name)
    if match is None or match[1] not in GROUPS:
        return name
    return GROUPS[match[1]] + match[2]


def group_of(name: str) -> str:
    """AF, AM, CF or CM, or "" for a name of another form."""
    prefix = canonical(name)[:2]
    return prefix if prefix in GROUPS.values() else ""
