"""Search for the parts of a copy of SCUT-FBP5500: in the release's places, or folders deeper.

Copies in circulation nest the release in a folder of the same name, have Images/Images/, or keep
the lists in a further folder; HCIILAB's repository has the lists of fold k as <k>/train_<k>.txt.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from lmol.data.formats import read_suffixes
from lmol.data.image_files import is_hidden
from lmol.errors import DataError

log = logging.getLogger(__name__)

IMAGES = "Images"
LISTS = Path("train_test_files")
FOLDS = LISTS / "5_folders_cross_validations_files"
LABELS = (LISTS / "All_labels.txt", Path("labels.txt"))
FOLD_FOLDERS = ("cross_validation_{}", "{}")

DEEPEST = 4
"""Number of folder levels below the root that are searched."""

TREE = f"""expected tree:
    SCUT-FBP5500_v2/
      Images/                 5,500 images, AF1.jpg ... CM750.jpg
      {LISTS}/All_labels.txt
      {FOLDS}/cross_validation_1/train_1.txt, test_1.txt ... 5"""

SOURCE = (
    "get it from github.com/HCIILAB/SCUT-FBP5500-Database-Release (non-commercial research only) "
    "and name its folder with data.root=...\n  " + TREE
)


class ScutCopy:
    """The parts of a copy below a root. Raises DataError if one is missing or there are two."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders = _folders(root)

    def images(self) -> Path:
        """Return the folder that holds the images."""
        folders = [folder for folder in self._folders if folder.name.lower() == IMAGES.lower()]
        return self._one(self._root / IMAGES, [f for f in folders if _holds_images(f)])

    def labels(self) -> Path:
        """Return All_labels.txt or, in copies without it, labels.txt."""
        for usual in LABELS:
            if (self._root / usual).is_file():
                return self._root / usual
        for usual in LABELS:
            found = [path for folder in self._folders if (path := folder / usual.name).is_file()]
            if found:
                return self._one(self._root / usual, found)
        raise self._missing(self._root / LABELS[0])

    def lists(self, fold: int) -> tuple[Path, Path]:
        """Return the training and the test list of an official fold, 1 to 5."""
        ways = [(folder, way) for folder in self._folders for way in FOLD_FOLDERS]
        holding = {f: way for f, way in reversed(ways) if _train(f, way, 1).is_file()}
        folder = self._one(self._root / FOLDS, sorted(holding))
        train = _train(folder, holding[folder], fold)
        return train, train.with_name(f"test_{fold}.txt")

    def _one(self, usual: Path, found: Sequence[Path]) -> Path:
        """Return the usual place or, if nothing is there, the only other one."""
        if usual in found:
            return usual
        if not found:
            raise self._missing(usual)
        if len(found) > 1:
            raise DataError(
                usual,
                got=f"nothing there, but {len(found)} others: {', '.join(map(str, found))}",
                expected="one copy of the release",
                remedy="name the folder of one with data.root=..., or move the others elsewhere",
            )
        log.info("%s does not exist; using %s instead", usual, found[0])
        return found[0]

    def _missing(self, path: Path) -> DataError:
        return DataError(
            path,
            got=f"nothing there, nor up to {DEEPEST} folders deeper below {self._root}",
            expected="the release's layout (a copy with only labels.txt needs fold=seeded)",
            remedy=SOURCE,
        )


def _folders(root: Path) -> list[Path]:
    """Return the root and the folders below it, without hidden ones and links."""
    found = level = [root]
    for _ in range(DEEPEST):
        children = [child for folder in level for child in _children(folder)]
        level = sorted(child for child in children if not is_hidden(child.name))
        found = found + level
    return found


def _children(folder: Path) -> list[Path]:
    try:
        return [child for child in folder.iterdir() if child.is_dir() and not child.is_symlink()]
    except PermissionError:
        return []


def _holds_images(folder: Path) -> bool:
    suffixes = read_suffixes()
    return any(
        path.suffix.lower() in suffixes and not is_hidden(path.name) for path in folder.iterdir()
    )


def _train(folder: Path, way: str, fold: int) -> Path:
    return folder / way.format(fold) / f"train_{fold}.txt"
