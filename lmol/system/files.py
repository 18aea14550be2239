"""Files that are whole or absent: written beside their place and renamed into it."""

from __future__ import annotations

import json
import math
import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

UNREADABLE = (OSError, ValueError, TypeError, LookupError, RecursionError, yaml.YAMLError)
"""Exceptions of reading a JSON or YAML file that may hold anything: another type, deep nesting."""

ALL_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path; its file replaces `path` if the block ends well.

    The file gets the mode that the umask gives, also if a library makes it private to its owner.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        mode = _mode_of_new(temporary)
        yield temporary
        _set_mode(temporary, mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def follow_umask(folder: Path) -> None:
    """Give all files below a folder the mode that the umask gives to a new one.

    safetensors and W&B make theirs private to the owner. Read-only files stay read-only.
    """
    probe = folder / f".mode.{os.getpid()}.part"
    mode = _mode_of_new(probe)
    probe.unlink()
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            writable = file.stat().st_mode & stat.S_IWUSR
            _set_mode(file, mode if writable else mode & ~ALL_WRITE)


def _mode_of_new(file: Path) -> int:
    """Make an empty file and return the mode that it got."""
    file.unlink(missing_ok=True)
    file.touch()
    return file.stat().st_mode


def _set_mode(file: Path, mode: int) -> None:
    if file.stat().st_mode != mode:
        file.chmod(stat.S_IMODE(mode))


def quoted(path: Path) -> str:
    """Return a path for a command line: relative if it is below the present folder, and quoted."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, with line feeds on every system."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())


def flush(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def is_inside(path: str | Path, folder: Path) -> bool:
    """Return whether a path is below a folder, with the links of both followed."""
    try:
        real, place = (Path(os.path.realpath(one)) for one in (path, folder))
    except ValueError:  # a zero byte in a name
        return False
    return real != place and real.is_relative_to(place)


def own_file(folder: Path, name: str | Path) -> Path:
    """Return the path of a file of a folder; the folder itself may be a link.

    Raises OSError if a link leads out of the folder, or if it is a pipe or a device, so that the
    files of somebody else's folder read nothing else.
    """
    path = folder / name
    if not is_inside(path, folder):
        raise OSError(f"{name} is a link that leads out of {folder}")
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is no file")
    return path


def foreign_paths(folder: Path) -> Iterator[Path]:
    """Yield what does not belong to a folder: links that lead out of it, pipes and devices."""
    for path in folder.rglob("*"):
        link = path.is_symlink()
        if not is_inside(path, folder) if link else not (path.is_dir() or path.is_file()):
            yield path


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping in a JSON or YAML file; empty if the file is missing or damaged."""
    try:
        text = own_file(path.parent, path.name).read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except UNREADABLE:
        return {}
    return values if isinstance(values, dict) else {}


def require_mapping(values: Any) -> dict[str, Any]:
    """Return values that are a mapping with texts as keys; else raise TypeError."""
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise TypeError("its content is no mapping")
    return values


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Return JSON of values that may hold NumPy values, paths, enums, NaN or infinity (null)."""
    return json.dumps(plain(value), indent=indent, allow_nan=False)


def plain(value: Any) -> Any:
    """Return the value as JSON types: paths as text, enums by value, NaN and infinity as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    # Values of NumPy and torch have this method; neither library is imported for a JSON file.
    return plain(value.tolist()) if hasattr(value, "tolist") else value
