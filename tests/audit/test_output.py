"""A tracker receives tables of many audits in a size that it can show."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lmol.audit.output import MOST_TRACKED, AuditOutput, stacked
from lmol.audit.record import AuditRecord
from lmol.runs.result_folder import ResultFolder
from lmol.tracking.tracker import Tracker
from tests.audit.test_plots import MARKS, table


class Tables(Tracker):
    """Tracker that keeps the tables that it receives."""

    def __init__(self) -> None:
        self.tables: dict[str, Mapping[str, Collection[Any]]] = {}

    def table(self, name: str, step: int, columns: Mapping[str, Collection[Any]]) -> None:
        self.tables[name] = columns


def record(step: int) -> AuditRecord:
    gradients = table(layers=1)
    return AuditRecord(
        step=step,
        gradients=gradients,
        updates=gradients,
        activations={},
        precision={"step": step},
        skipped=False,
        overflowed=False,
        rate_share=1.0,
        since=[],
        num_overflowed=0,
        answers=[],
        assert_tiny=0.0,
    )


def test_of_many_audits_a_tracker_gets_the_first_the_last_and_some_between(tmp_path: Path) -> None:
    tracker = Tables()
    output = AuditOutput(ResultFolder(tmp_path), MARKS, 10**9, tracker)  # one picture only
    num = 5 * MOST_TRACKED
    for step in range(1, num + 1):
        output.write(record(step), [])
    output.close([], {"steps": num, "skipped_steps": 0, "findings": []}, 36)
    steps = list(dict.fromkeys(tracker.tables["audit/grad_table"]["step"]))
    assert MOST_TRACKED / 2 <= len(steps) <= MOST_TRACKED
    assert (steps[0], steps[-1]) == (1, num)
    assert len(list(tmp_path.glob("audit/grad_table_step_*.csv"))) == num
    assert len(list(tmp_path.glob("audit/*.png"))) == 1


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
