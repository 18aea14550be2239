"""Label files (`image score` on each line, no header), and errors about lines of any file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lmol.data.data_set import Labels
from lmol.errors import DataError

NAMED = 3
"""Largest number of further faulty lines that a message names; it counts the others."""


class BadLine(Exception):
    """Error about a line that cannot be used: its content, the expected content, the remedy."""

    def __init__(self, got: str, expected: str, remedy: str) -> None:
        super().__init__(got)
        self.got, self.expected, self.remedy = got, expected, remedy


class BadLines:
    """Collector of the bad lines of a file, so that one error is about all of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: list[tuple[int, BadLine]] = []

    @contextmanager
    def at(self, number: int) -> Iterator[None]:
        """Note a BadLine that the block raises; lines are numbered from 1."""
        try:
            yield
        except BadLine as fault:
            self._found.append((number, fault))

    def refuse(self) -> None:
        """Raise DataError with file:line of the first bad line, and the number of the others."""
        if not self._found:
            return
        (number, first), *others = self._found
        raise DataError(
            f"{self._path}:{number}",
            got=first.got + (f", and {_further(others)}" if others else ""),
            expected=first.expected,
            remedy=first.remedy,
        )


def _further(faults: list[tuple[int, BadLine]]) -> str:
    named = "; ".join(f"line {number}: {fault.got}" for number, fault in faults[:NAMED])
    more = "; ..." if len(faults) > NAMED else ""
    return f"{len(faults)} more that cannot be used ({named}{more})"


def read_labels(path: Path, low: float, high: float) -> Labels:
    """Return the score by image name, in the order of the file.

    Raises DataError with file:line for malformed lines, a second line for an image, and scores
    that are no finite number in low..high.
    """
    labels: Labels = {}
    faults = BadLines(path)
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            with faults.at(number):
                name, score = _label(line, low, high)
                if name in labels:
                    raise repeated(name)
                labels[name] = score
    faults.refuse()
    if not labels:
        raise DataError(
            f"{path}:1",
            got="an empty file",
            expected="an image name and a score in each line, separated by a blank",
            remedy="name another file, or fill this one",
        )
    return labels


def _label(line: str, low: float, high: float) -> tuple[str, float]:
    fields = line.split()
    if len(fields) != 2:
        raise BadLine(
            repr(line.strip()),
            expected="an image name and a score, separated by a blank",
            remedy="correct the line",
        )
    return fields[0], parse_score(fields[1], low, high)


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, with or without a byte-order mark; else raise DataError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(
            path,
            got=f"a file that cannot be read ({error})",
            expected="text in UTF-8",
            remedy="save it as UTF-8, and see that it may be read",
        ) from error


def parse_score(text: str, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a finite score in low..high (both in points of score); else raise BadLine."""
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if low <= score <= high and math.isfinite(score):
        return score
    bounded = math.isfinite(low)
    comma = "write decimals with a point" if "," in text else "correct the line"
    raise BadLine(
        f"score {text!r}",
        expected=f"a number from {low:g} to {high:g}" if bounded else "a finite number",
        remedy=f"{comma}, or the range of scores if it is meant so" if bounded else comma,
    )


def repeated(name: str) -> BadLine:
    """Return the error about a line for an image that has a score already."""
    return BadLine(
        f"{name} a second time",
        expected="one score for each image",
        remedy="remove one of the two lines",
    )
