"""Errors about a disk that cannot be written: full, over a limit, or read-only."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from lmol.errors import DiskError, LmolError

UNWRITABLE = {
    errno.ENOSPC: "a full disk",
    errno.EDQUOT: "a used-up disk quota",
    errno.EFBIG: "a limit on the size of files",
    errno.EROFS: "a read-only disk",
}
_IN_TEXT = re.compile(r"\(os error (\d+)\)")
"""Error number in a message: Rust libraries, such as safetensors, give it only there."""

ANY_SPACE = "space for results and checkpoints"


def require_space(folder: Path, needed: int, purpose: str) -> str:
    """Raise DiskError if fewer bytes are free than needed; return the need in words.

    A quota is not noticed here.
    """
    expected = f"about {megabytes(needed)} for {purpose}"
    if shutil.disk_usage(folder).free < needed:
        raise _disk_error("too little space", folder, expected)
    return expected


def megabytes(number: int) -> str:
    """Return bytes as a text for a message."""
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"


def disk_error(error: BaseException, folder: Path, expected: str = ANY_SPACE) -> LmolError | None:
    """Return the error to show to the user if an exception comes from such a disk, else None.

    folder: named if the exception names no file; expected: the needed space, if it is known. Errors
    that are already written for a user stay.
    """
    if isinstance(error, LmolError):
        return error if isinstance(error, DiskError) else None
    for cause in _causes(error):
        number = _number(cause)
        if number in UNWRITABLE:
            return _disk_error(UNWRITABLE[number], _place(cause, folder), expected)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _number(error: BaseException) -> int:
    """Return the number of a system error, 0 for other exceptions."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = _IN_TEXT.search(str(error))
    return int(found.group(1)) if found else 0


def _place(error: BaseException, folder: Path) -> Path:
    """Return the deepest existing folder on the path of the failed write."""
    named = getattr(error, "filename", None)
    path = Path(named).absolute().parent if isinstance(named, str) else folder.absolute()
    return next(place for place in (path, *path.parents) if place.is_dir())


def _disk_error(found: str, place: Path, expected: str) -> DiskError:
    return DiskError(
        place,
        got=f"{found} ({megabytes(shutil.disk_usage(place).free)} free)",
        expected=expected,
        remedy="free space or raise the limit there, or choose a folder on another disk "
        "(hydra.run.dir=..., hydra.sweep.dir=..., data.root=...)",
    )
