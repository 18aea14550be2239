"""Search for images in a folder and below it; files passed over are counted by reason."""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmol.config.paths import is_text, shown
from lmol.data.formats import HEIF, PHOTOS, REMEDY, read_suffixes
from lmol.errors import DataError

HIDDEN = "hidden"
OTHER = "other kinds of files"
UNREAD = "photos in a format that is not read here"
UNREADABLE = "may not be read"
DANGLING = "links to nothing"
KNOWN = "links to folders read already"

LOST = (UNREAD, UNREADABLE, DANGLING)
"""Reasons for which one of the user's images may be missing."""

BY_MACHINES = frozenset(("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN"))
"""Folders that systems add to people's files, for copies, thumbnails and deleted files."""

NAMED = 3
"""Files that a log line names for each reason."""


@dataclass(frozen=True, kw_only=True)
class FoundImages:
    """Result of a search. files: sorted. passed_over: names relative to the folder, by reason."""

    files: Sequence[Path]
    passed_over: Mapping[str, Sequence[str]]

    def counts(self) -> dict[str, int]:
        """Return the number of files passed over, by reason."""
        return {reason: len(names) for reason, names in self.passed_over.items()}

    def description(self) -> str:
        """Return the numbers of files taken and passed over, for a log line."""
        parts = [_described(reason, names) for reason, names in self.passed_over.items()]
        return f"{len(self.files)} image(s) taken; passed over: {'; '.join(parts) or 'nothing'}"

    def may_miss_some(self) -> bool:
        """Return whether images may be among the files passed over."""
        return any(reason in self.passed_over for reason in LOST)


def find_images(folder: Path) -> FoundImages:
    """Find all photos in a folder and below it, by the ends of their names.

    Hidden files and folders are passed over. Links to folders are followed, each folder once.
    """
    walk = _Walk(folder)
    while walk.folders or walk.linked:
        walk.read(walk.folders.popleft() if walk.folders else walk.linked.popleft())
    passed_over = {reason: sorted(names) for reason, names in sorted(walk.passed_over.items())}
    return FoundImages(files=sorted(walk.files), passed_over=passed_over)


class _Walk:
    """State of a search. folders: still to read; linked: links to folders, to read last."""

    def __init__(self, root: Path) -> None:
        self._root, self._suffixes = root, read_suffixes()
        self.folders, self.linked = deque([root]), deque[Path]()
        self.files: list[Path] = []
        self.passed_over: dict[str, list[str]] = defaultdict(list)
        self._read: set[tuple[int, int]] = set()

    def read(self, folder: Path) -> None:
        """Take a folder's files, and note its subfolders."""
        try:
            facts = folder.stat()
            if (facts.st_dev, facts.st_ino) in self._read:
                self._pass_over(KNOWN, folder)
                return
            self._read.add((facts.st_dev, facts.st_ino))
            children = sorted(folder.iterdir())
        except OSError:
            self._pass_over(UNREADABLE, folder)
            return
        for child in children:
            self._take(child)

    def _take(self, path: Path) -> None:
        try:
            reason = HIDDEN if is_hidden(path.name) else self._fault(path)
        except OSError:
            reason = UNREADABLE
        if reason is not None:
            self._pass_over(reason, path)

    def _fault(self, path: Path) -> str | None:
        """Take a file or note a folder, or return the reason to pass it over."""
        suffix = path.suffix.lower()
        if path.is_dir():
            (self.linked if path.is_symlink() else self.folders).append(path)
        elif path.is_file() and suffix in self._suffixes:
            self.files.append(path)
        elif path.is_symlink() and not path.exists():
            return DANGLING
        else:
            return UNREAD if suffix in PHOTOS else OTHER
        return None

    def _pass_over(self, reason: str, path: Path) -> None:
        self.passed_over[reason].append(os.fspath(path.relative_to(self._root)))


def is_hidden(name: str) -> bool:
    """Return whether a name in a folder is hidden, or comes from a system and not from people."""
    return name.startswith(".") or name in BY_MACHINES


def _described(reason: str, names: Sequence[str]) -> str:
    more = ", ..." if len(names) > NAMED else ""
    heif = reason == UNREAD and any(Path(name).suffix.lower() in HEIF for name in names)
    remedy = f"; HEIC is read after {REMEDY}" if heif else ""
    return f"{reason}: {len(names)} ({shown(', '.join(names[:NAMED]))}{more}{remedy})"


def refuse_unwritable(names: Iterable[str]) -> None:
    """Raise DataError if UTF-8 cannot hold a name, so that results could not be written.

    It also refuses a name with a NUL, which no file has.
    """
    broken = [name for name in names if not is_text(name)]
    if broken:
        raise DataError(
            "images",
            got=f"{len(broken)} name(s) that are not UTF-8 or hold a NUL, {shown(broken[0])} first",
            expected="names that results can hold, which are written as UTF-8",
            remedy="rename these files, or correct the table that lists them",
        )
