"""Files that are whole or absent: written beside their place and renamed into it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path; what is written there takes the place of `path` if the block ends well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, with line feeds on every system."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON of values that may hold NumPy values, paths, enums, NaN or infinity (null)."""
    return json.dumps(plain(value), indent=indent, allow_nan=False)


def plain(value: Any) -> Any:
    """The value as JSON knows it: paths as text, enums by value, NaN and infinity as None."""
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
    # NumPy and torch are known by their method alone: neither is imported for a JSON file.
    return plain(value.tolist()) if hasattr(value, "tolist") else value
