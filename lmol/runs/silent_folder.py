"""A run folder that drops all results: for processes that only compute, and for notebooks."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from lmol.runs.run_folder import RunFolder
from lmol.runs.run_log import LOGGER

_NOWHERE = logging.NullHandler()
"""A handler that drops all records; without any handler, Python prints warnings by itself."""


class SilentFolder(RunFolder):
    """A run folder that takes results and drops them."""

    writes = False

    def __init__(self, path: Path) -> None:
        super().__init__(path, {}, debug=False)

    def __enter__(self) -> RunFolder:
        LOGGER.addHandler(_NOWHERE)
        return self

    def __exit__(self, *ended: Any) -> None:
        LOGGER.removeHandler(_NOWHERE)

    def folder(self, name: str) -> Path:
        return self.path / name

    def part(self, name: str) -> SilentFolder:
        return SilentFolder(self.path / name)

    @property
    def facts(self) -> dict[str, Any]:
        return {}

    def note(self, **facts: Any) -> None:
        pass

    def require_space(self, needed: int, purpose: str) -> None:
        pass

    def write_text(self, name: str, text: str) -> Path:
        return self.path / name

    def append(self, name: str, text: str) -> Path:
        return self.path / name

    def write_table(self, name: str, table: Any) -> Path:
        return self.path / name
