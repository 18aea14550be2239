"""The settings that name files and folders, and the one function that reads them all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmol.config.keys import group_of
from lmol.errors import LmolError

MACHINE = (
    "data.root",
    "data.source.root",
    "data.source.table",
    "model.backbone.weights",
    "model.encoder.weights",
)
"""Settings for the place of data and base model, which may differ on another machine."""

SETTINGS = (*MACHINE, "run", "runs", "images", "export.folder", "report.page")
HYDRA = ("hydra.run.dir", "hydra.sweep.dir")

TILDE = re.compile(r"((?:^|[\[,])\s*['\"]?)(~[\w.-]*)(?=[/,'\"\]]|$)")
"""A home folder at the beginning of an override's value, or of an item of its list."""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that control a terminal, without tab and line feed."""

LONGEST_NAME, LONGEST_PATH = 255, 4095
"""Largest number of bytes in a file's name and in a whole path that systems take."""


def read_path(key: str, text: str | Path) -> str:
    """Return a path with ~ expanded; relative paths and ids of a hub stay as they are.

    Raises LmolError, about the setting or argument `key`, for a text that names no file: empty,
    beyond UTF-8, or with a name that no file system takes.
    """
    path = os.path.expanduser(text)  # noqa: PTH111 - pathlib would change pkg:// and a last slash
    fault = _fault(str(path))
    if fault is not None:
        got, remedy = fault
        raise LmolError(key, got=got, expected="the path of a file or folder", remedy=remedy)
    return str(path)


def _fault(path: str) -> tuple[str, str] | None:
    """Return the fault of a path's text and the remedy, or None."""
    if not path.strip():
        remedy = "name one, or leave the setting out; a shell variable that is not set is empty"
        return "an empty text", remedy
    if not is_text(path):
        got = f"{shown(path)}, which is not UTF-8 or holds a NUL"
        return got, "rename it: results are written as UTF-8"
    longest = max(len(os.fsencode(part)) for part in path.split("/"))
    whole = len(os.fsencode(path))
    if longest > LONGEST_NAME or whole > LONGEST_PATH:
        most = LONGEST_NAME if longest > LONGEST_NAME else LONGEST_PATH
        got = f"a name of {longest} bytes in a path of {whole}, where {most} are the most"
        return got, "choose a shorter one; check the quotes where it is a list"
    return None


def is_text(name: str) -> bool:
    """Return whether UTF-8 can hold a name, which has no NUL; file names may be any other bytes."""
    try:
        return b"\0" not in name.encode()
    except UnicodeEncodeError:
        return False


def shown(text: str) -> str:
    """Return a text in a form that every terminal and log can show, and that controls neither."""
    writable = text.encode(errors="backslashreplace").decode()
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", writable)


def read_paths(plain: dict[str, Any]) -> Iterator[LmolError]:
    """Read every path setting of plain values, in place; yield the errors."""
    for key in SETTINGS:
        group, name = group_of(plain, key)
        if name in group:
            try:
                group[name] = _read(key, group[name])
            except LmolError as error:
                yield error


def path_problems(key: str, value: object) -> Iterator[LmolError]:
    """Yield the errors about the path of an override."""
    try:
        _read(key, value)
    except LmolError as error:
        yield error


def _read(key: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_read(key, item) for item in value]
    return read_path(key, value) if isinstance(value, str) else value


def home_written_out(override: str) -> str:
    """Return a path override with ~ expanded; Hydra's grammar knows this sign only in quotes."""
    key, equals, value = override.partition("=")
    if key.lstrip("+") not in (*SETTINGS, *HYDRA):
        return override
    return key + equals + TILDE.sub(lambda found: found[1] + _home(found[2]), value)


def _home(tilde: str) -> str:
    return os.path.expanduser(tilde)  # noqa: PTH111 - an unknown user's stays as it is
