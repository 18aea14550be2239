"""The log of a run: every line of logger "lmol" goes to run.log and to the console."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich import get_console
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler

from lmol.config.paths import shown

LOGGER = logging.getLogger("lmol")
FILE_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _Shown(logging.Formatter):
    """Formatter of lines that may hold names from other people's files."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(super().format(record))


class _FileHandler(logging.FileHandler):
    """Handler that ends the run if a line cannot be written; logging would print a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:
        raise


@contextmanager
def run_log(path: Path, *, debug: bool) -> Iterator[logging.Handler]:
    """Attach both handlers while the block runs; yield the file's handler."""
    file = _FileHandler(path, encoding="utf-8")
    file.setFormatter(_Shown(FILE_FORMAT))
    handlers, level = [file, *_consoles()], LOGGER.level
    LOGGER.setLevel(logging.DEBUG if debug else logging.INFO)
    for handler in handlers:
        LOGGER.addHandler(handler)
    try:
        yield file
    finally:
        for handler in handlers:
            LOGGER.removeHandler(handler)
            handler.close()
        LOGGER.setLevel(level)


def _consoles() -> Iterator[logging.Handler]:
    """Yield a Rich handler on a terminal, which may show a progress bar, else one for plain lines.

    Yields none if Hydra's own logging, or a host program's, shows each line already.
    """
    if any(type(handler) is logging.StreamHandler for handler in logging.getLogger().handlers):
        return
    console = get_console()
    if console.is_terminal:
        rich = RichHandler(
            console=console,
            show_time=False,  # run.log has it; a record is wide enough
            show_path=False,
            show_level=False,
            highlighter=NullHighlighter(),
        )
        rich.setFormatter(_Shown("%(message)s"))
        yield rich
        return
    plain = logging.StreamHandler(sys.stdout)
    plain.setFormatter(_Shown("%(message)s"))
    yield plain
