"""Tables of an audit as CSV: quick to write, as a step may take no more than milliseconds."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def csv_text(columns: Mapping[str, Iterable[Any]], *, header: bool = True) -> str:
    """CSV of columns of equal length; numbers with six digits, nothing for None and NaN."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows(zip(*([_cell(v) for v in column] for column in columns.values()), strict=True))
    return text.getvalue()


def rows_text(rows: Sequence[Mapping[str, Any]], *, header: bool) -> str:
    """CSV of rows that share their keys."""
    return csv_text({key: [row[key] for row in rows] for key in rows[0]}, header=header)


def _cell(value: Any) -> str:
    if value is None or value != value:  # NaN is not itself
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
