"""Tables of spreadsheets: a header, then one row per image, with one separator."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from lmol.data.sources.label_file import BadLine, BadLines, read_text
from lmol.errors import DataError

log = logging.getLogger(__name__)

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
SHOWN = 12
"""Largest number of columns of a header that a message shows."""

Row = dict[str, str]


def read_rows(path: Path, required: Sequence[str], faults: BadLines) -> Iterator[tuple[int, Row]]:
    """Yield line number and values by column of each row; add bad rows to the faults.

    Commas separate the columns or, if only these give the required columns, semicolons, tabs or
    vertical bars. Raises DataError if a required column is missing or there twice.
    """
    text = read_text(path)
    headers = {sign: _header(text, sign) for sign in DELIMITERS}
    fitting = [sign for sign, header in headers.items() if {*required} <= {*header}]
    if not fitting:
        raise _no_column(path, required, max(headers.items(), key=lambda item: len(item[1])))
    _refuse_repeated(path, required, headers[fitting[0]])
    if fitting[0] != ",":
        log.info("%s: read with %s between its columns", path, DELIMITERS[fitting[0]])
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=fitting[0])
    try:
        for row in reader:
            with faults.at(reader.line_num):
                yield reader.line_num, _whole(row, required)
    except csv.Error as error:
        raise DataError(
            f"{path}:{reader.line_num}",
            got=f"a row that cannot be read ({error})",
            expected="a CSV file",
            remedy="look for a quote that is opened and not closed",
        ) from error


def _header(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:  # such as a field of a megabyte: no header of ours
        return []


def _whole(row: dict[str, str | None], required: Sequence[str]) -> Row:
    """Return the row; raise BadLine if a required column has no value or a value is left over."""
    if None in row or row.get("image") == "" or any(row[name] is None for name in required):
        raise BadLine(
            "a row without exactly one value for each column",
            expected="as many values as the header has columns",
            remedy="correct the row; names that hold the sign between columns need quotes",
        )
    return {name: value or "" for name, value in row.items()}


def _refuse_repeated(path: Path, required: Sequence[str], header: Sequence[str]) -> None:
    repeated = [name for name in required if header.count(name) > 1]
    if repeated:
        raise DataError(
            f"{path}:1",
            got=f"{header.count(repeated[0])} columns with the name {repeated[0]}",
            expected="one",
            remedy="rename the others in the first line",
        )


def _no_column(path: Path, required: Sequence[str], found: tuple[str, list[str]]) -> DataError:
    sign, header = found
    missing = ", ".join(name for name in required if name not in header)
    named = ", ".join(map(repr, header[:SHOWN])) + (", ..." if len(header) > SHOWN else "")
    return DataError(
        f"{path}:1",
        got=f"no column {missing}; read were {named or 'no columns'}"
        + (f", with {DELIMITERS[sign]} between them" if len(header) > 1 else ""),
        expected=f"a header with {', '.join(required)}; other columns are optional",
        remedy="name the columns in the first line, with commas between them",
    )
