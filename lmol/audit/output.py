"""Output of an audit in the run folder: tables and pictures of single steps, and its summary."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from lmol.audit.plots import FlowPicture, Marks
from lmol.audit.record import AuditRecord
from lmol.audit.signals import StepSignals
from lmol.audit.summary import summary_text
from lmol.runs.result_folder import ResultFolder
from lmol.tracking.tracker import Tracker

AUDIT = "audit"
PATIENCE = 1.0
"""Seconds that rows of a growing table may wait before they are written together."""

MOST_TRACKED = 100
"""Maximum number of audited steps in a tracker's table; beyond it, every other step is left out."""

SUMMARY = f"{AUDIT}/summary.md"


Columns = Mapping[str, Collection[Any]]


class AuditOutput:
    """Writer of audit/ in a run folder and of its tracker; idle if the run writes nothing."""

    def __init__(
        self, run: ResultFolder, marks: Marks, picture_interval: int, tracker: Tracker
    ) -> None:
        self._run, self._picture = run, FlowPicture(marks)
        self._interval, self._tracker = picture_interval, tracker
        self._next_picture = 0
        self._rows: dict[str, list[dict[str, Any]]] = {"precision": [], "memory": []}
        self._flushed = -PATIENCE
        self._begun: set[str] = set()
        self._tables: dict[str, list[tuple[int, Columns]]] = {}
        self.memory: dict[str, Any] = {}
        """Bytes by kind at the latest audit that measured them, for the summary."""
        self._audited: list[int] = []
        self.saved_bytes: int | None = None
        """Bytes that one micro-batch saved for its backward pass; counted at the first audit."""

    def write(self, record: AuditRecord, memory: Sequence[dict[str, Any]]) -> None:
        """Write the tables of an audited step and, if one is due, its picture."""
        step = record.step
        if not self._run.writes:
            return
        for name, table in (
            ("grad", record.gradients),
            ("update", record.updates),
            ("activation", record.activations),
        ):
            self._run.write_text(f"{AUDIT}/{name}_table_step_{step}.csv", csv_text(table))
            tables = self._tables.setdefault(f"{AUDIT}/{name}_table", [])
            tables.append((step, table))
            if len(tables) > MOST_TRACKED:
                del tables[1:-1:2]
        self._rows["precision"].append(record.precision)
        self._rows["memory"] += memory
        if time.monotonic() - self._flushed > PATIENCE:
            self._flush()
        self._audited.append(step)
        self._draw(record)

    def _flush(self) -> None:
        """Append the waiting rows to precision.csv and memory.csv."""
        self._flushed = time.monotonic()
        for name, rows in self._rows.items():
            if rows:
                columns = {key: [row[key] for row in rows] for key in rows[0]}
                text = csv_text(columns, header=name not in self._begun)
                self._run.append(f"{AUDIT}/{name}.csv", text)
                self._begun.add(name)
                rows.clear()

    def state_dict(self) -> dict[str, Any]:
        """Return the state; rows that wait are written first."""
        self._flush()
        return {
            "begun": sorted(self._begun),
            "tables": {name: [step for step, _ in kept] for name, kept in self._tables.items()},
            "memory": self.memory,
            "audited": self._audited,
            "saved_bytes": self.saved_bytes,
            "next_picture": self._next_picture,
            "limits": self._picture.limits,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state; tables of earlier steps are read from the run folder."""
        self._begun, self._audited = set(state["begun"]), list(state["audited"])
        for name, steps in state["tables"].items() if self._run.writes else ():
            files = {step: self._run.path / f"{name}_step_{step}.csv" for step in steps}
            self._tables[name] = [(step, dict(pd.read_csv(file))) for step, file in files.items()]
        self.memory, self.saved_bytes = state["memory"], state["saved_bytes"]
        self._next_picture, self._picture.limits = state["next_picture"], state["limits"]

    def close(
        self, steps: Sequence[StepSignals], report: Mapping[str, Any], num_rules: int
    ) -> None:
        """Write steps.csv with the signals of every step, and the summary as text and as JSON.

        The tracker receives one table per kind with all audited steps: one table per step would
        take longer than the audit itself.
        """
        self._flush()
        for name, tables in self._tables.items():
            self._tracker.table(name, tables[-1][0], stacked(tables))
        names = ("step", "loss", "cross_entropy", "consistency", "accuracy", "grad_norm", "seconds")
        columns = {name: [getattr(signals, name) for signals in steps] for name in names}
        self._run.write_text(f"{AUDIT}/steps.csv", csv_text(columns))
        summary = {
            **report,
            "audited_steps": self._audited,
            "rules_asked": num_rules,
            "memory": self.memory,
        }
        self._run.write_text(SUMMARY, summary_text(summary))
        self._run.write_json(f"{AUDIT}/summary.json", summary)

    def _draw(self, record: AuditRecord) -> None:
        """Draw the first audit, and after that the first one past each multiple of the interval."""
        if record.step < self._next_picture:
            return
        self._next_picture = (record.step // self._interval + 1) * self._interval
        path = self._run.folder(AUDIT) / f"gradient_flow_step_{record.step}.png"
        self._picture.draw(record.gradients, record.step, path)
        self._tracker.image(f"{AUDIT}/gradient_flow", record.step, path)


def stacked(tables: Sequence[tuple[int, Columns]]) -> dict[str, list[Any]]:
    """Return one table from those of several steps: the step first, None for missing values."""
    names = dict.fromkeys(name for _, columns in tables for name in columns)
    together: dict[str, list[Any]] = {name: [] for name in ("step", *names)}
    for step, columns in tables:
        size = max(map(len, columns.values()), default=0)
        together["step"] += [step] * size
        for name in names:
            together[name].extend(columns.get(name, [None] * size))
    return together


def csv_text(columns: Mapping[str, Iterable[Any]], *, header: bool = True) -> str:
    """Return columns of equal length as CSV; numbers with six digits, None and NaN empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows(zip(*([_cell(v) for v in column] for column in columns.values()), strict=True))
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None or value != value:  # NaN is not itself
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
