"""What a tracker is told of many audits stays of a size that it can show."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lmol.audit.output import MOST_TOLD, AuditOutput, stacked
from lmol.audit.plots import Marks
from lmol.audit.record import AuditRecord
from lmol.audit.summary import Summary
from lmol.runs.result_folder import ResultFolder
from lmol.tracking.tracker import Tracker


class Told(Tracker):
    """Keeps the tables that it is told."""

    def __init__(self) -> None:
        self.tables: dict[str, Mapping[str, Collection[Any]]] = {}

    def table(self, name: str, step: int, columns: Mapping[str, Collection[Any]]) -> None:
        self.tables[name] = columns


def record(step: int) -> AuditRecord:
    table = {"tensor": ["a", "b"], "norm": [float(step), 2.0]}
    values = {"step": step, "gradients": table, "updates": table, "activations": {}}
    found = AuditRecord.__new__(AuditRecord)
    for name, value in {**values, "precision": {"step": step}}.items():
        object.__setattr__(found, name, value)
    return found


def test_of_many_audits_a_tracker_gets_the_first_the_last_and_some_between(tmp_path: Path) -> None:
    told = Told()
    marks = Marks(tiny=1e-12, clip=None, high=1.0, explosion=2.0)
    output = AuditOutput(ResultFolder(tmp_path), marks, 10**9, told)
    output._next_picture = 10**9
    num = 5 * MOST_TOLD
    for step in range(1, num + 1):
        output.write(record(step), [])
    output.close([], Summary(text="", values={}))
    steps = list(dict.fromkeys(told.tables["audit/grad_table"]["step"]))
    assert MOST_TOLD / 2 <= len(steps) <= MOST_TOLD
    assert (steps[0], steps[-1]) == (1, num)
    assert len(list(tmp_path.glob("audit/grad_table_step_*.csv"))) == num


def test_columns_that_a_step_lacks_are_empty() -> None:
    tables: list[tuple[int, Mapping[str, Collection[Any]]]] = [
        (1, {"a": [1.0], "b": [2.0]}),
        (2, {}),
        (3, {"a": (3.0, 4.0), "c": [5.0, 6.0]}),
    ]
    assert stacked(tables) == {
        "step": [1, 3, 3],
        "a": [1.0, 3.0, 4.0],
        "b": [2.0, None, None],
        "c": [None, 5.0, 6.0],
    }
