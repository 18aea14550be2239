"""Several processes on one run, as torchrun starts them: one writes, all compute."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lmol.config import Config
from lmol.tracking.run_folder import RunFolder


def process_index() -> int:
    """This process's number, 0 for the one that writes and for a process that is alone."""
    return int(os.environ.get("RANK", "0"))


def open_run(path: Path, config: Config) -> RunFolder:
    """The run folder, claimed by the process that writes; what the others write goes nowhere."""
    return RunFolder.claim(path, config) if process_index() == 0 else SilentFolder(path)


class SilentFolder(RunFolder):
    """Takes results as a run folder does, and drops them."""

    writes = False

    def __init__(self, path: Path) -> None:
        super().__init__(path, {}, debug=False)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *ended: Any) -> None:
        pass

    def part(self, name: str) -> SilentFolder:
        return SilentFolder(self.path / name)

    @property
    def facts(self) -> dict[str, Any]:
        return {}

    def note(self, **facts: Any) -> None:
        pass

    def write_text(self, name: str, text: str) -> Path:
        return self.path / name

    def append(self, name: str, text: str) -> Path:
        return self.path / name

    def write_table(self, name: str, table: Any) -> Path:
        return self.path / name
