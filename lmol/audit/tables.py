"""Tables of an audit as CSV; fast to write, because a step may take only milliseconds for them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def csv_text(columns: Mapping[str, Iterable[Any]], *, header: bool = True) -> str:
    """Return columns of equal length as CSV; numbers with six digits, None and NaN empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows(zip(*([_cell(v) for v in column] for column in columns.values()), strict=True))
    return text.getvalue()


def rows_text(rows: Sequence[Mapping[str, Any]], *, header: bool) -> str:
    """Return rows that share their keys as CSV."""
    return csv_text({key: [row[key] for row in rows] for key in rows[0]}, header=header)


def _cell(value: Any) -> str:
    if value is None or value != value:  # NaN is not itself
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
