"""Label files: one `image score` a line, blank-separated, no header."""

from __future__ import annotations

import math
from pathlib import Path

from lmol.errors import DataError

Labels = dict[str, float]


def read_labels(path: Path, low: float, high: float) -> Labels:
    """Score by image name, in the order of the file.

    Raises DataError with file:line for a malformed line, a second line for an image, and a score
    that is no finite number in low..high.
    """
    labels: Labels = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        fields = line.split()
        if len(fields) != 2:
            raise _malformed(where, line)
        name, text = fields
        if name in labels:
            raise duplicate(where, name)
        labels[name] = parse_score(where, text, low, high)
    if not labels:
        raise _malformed(f"{path}:1", "an empty file")
    return labels


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte-order mark, or a DataError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(
            path,
            got=f"a file that cannot be read ({error})",
            expected="text in UTF-8",
            remedy="save it as UTF-8, and see that it may be read",
        ) from error


def parse_score(where: str, text: str, low: float, high: float) -> float:
    """A finite score in low..high (both in points of score), or a DataError at `where`."""
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not low <= score <= high or math.isinf(score):
        raise DataError(
            where,
            got=f"score {text!r}",
            expected=f"a number from {low:g} to {high:g}",
            remedy="correct the line, or the range of scores if it is meant so",
        )
    return score


def duplicate(where: str, name: str) -> DataError:
    """The error for an image that has a score already."""
    return DataError(
        where,
        got=f"{name} a second time",
        expected="one score for each image",
        remedy="remove one of the two lines",
    )


def _malformed(where: str, line: str) -> DataError:
    return DataError(
        where,
        got=repr(line.strip()),
        expected="an image name and a score, separated by a blank",
        remedy="correct the line",
    )
