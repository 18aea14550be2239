"""Folders for results, in which every file is whole or absent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmol.errors import StateError
from lmol.system.files import flush, is_inside, replacing, to_json, write_text

if TYPE_CHECKING:
    import pandas as pd


class ResultFolder:
    """A folder of results. path: absolute. Files appear whole or not at all.

    writes: true if this process writes at all.
    """

    writes = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sizes: dict[str, int] = {}

    def part(self, name: str) -> ResultFolder:
        """Return a folder in this one, for results of a part, such as one fold of a sweep."""
        return ResultFolder(self.path / name)

    def folder(self, name: str) -> Path:
        """Return a folder in this one; make it if it is missing."""
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def write_table(self, name: str, table: pd.DataFrame) -> Path:
        """Write a table as CSV without its index; name may hold a folder, as pairs/x.csv."""
        path = self._place(name)
        with replacing(path) as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")
        return path

    def write_text(self, name: str, text: str) -> Path:
        """Write a text; name may hold a folder."""
        path = self._place(name)
        write_text(path, text)
        return path

    def append(self, name: str, text: str) -> Path:
        """Add whole lines to a file, which this object begins; they are on disk on return."""
        path = self._place(name)
        with path.open("a" if name in self._sizes else "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            self._sizes[name] = file.tell()
        return path

    def state_dict(self) -> dict[str, int]:
        """Return the sizes of the files that `append` wrote, in bytes, and flush the files."""
        for name in self._sizes if self.writes else ():
            flush(self.path / name)
        return dict(self._sizes)

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Cut the appended files of an earlier process to these sizes; `append` continues them."""
        for name, size in state.items() if self.writes else ():
            file = self.path / name
            if not is_inside(file, self.path) or not file.is_file() or file.stat().st_size < size:
                raise StateError(
                    file,
                    got="a file that is missing, elsewhere or shorter than it was",
                    expected=f"at least {size} bytes",
                    remedy="restore the run folder as the training left it, or train anew",
                )
            os.truncate(file, size)
        self._sizes = dict(state)

    def write_json(self, name: str, value: Any) -> Path:
        """Write JSON; NaN and infinity become null, NumPy values plain ones."""
        return self.write_text(name, to_json(value, indent=2) + "\n")

    def _place(self, name: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
