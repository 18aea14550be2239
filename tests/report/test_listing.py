"""The list of runs: newest first, sweeps on one row, filters."""

from pathlib import Path

import pytest
from rich.console import Console

from lmol.config.schema import ReportConfig, RunStatus
from lmol.report.listing import listed_runs, table_of_runs
from tests.report.run_folders import make_run, make_sweep

ALL = {"page": None, "name": None, "task": None, "status": None}


@pytest.fixture
def outputs(tmp_path):
    """Two sweeps, of which one has a job that still runs, a run that failed, and a report."""
    make_sweep(tmp_path / "sweeps" / "first", (0.8, 0.9))
    make_run(tmp_path / "sweeps" / "second" / "fold_3", name="no_swap", fold=3)
    make_run(tmp_path / "sweeps" / "second" / "fold_4", name="no_swap", fold=4, status="running")
    make_run(tmp_path / "2026-11-25" / "10", fold=5, status="failed", error="x")
    make_run(tmp_path / "2026-11-26" / "10", fold=6, task="report")
    make_run(tmp_path / "2026-11-27" / "10", name="[red]", fold=7, task="evaluate")
    (tmp_path / "data" / "synthetic").mkdir(parents=True)
    return tmp_path


def listed(outputs, **filters):
    return listed_runs(outputs, ReportConfig(**{**ALL, **filters}))


def test_newest_first_and_a_sweep_is_one_row(outputs):
    rows = listed(outputs)
    assert [row.path.name for row in rows] == ["10", "10", "second", "first"]
    assert [row.folds for row in rows] == ["7", "none of 3", "3 of 3", "1, 2 of 3"]
    assert rows[-1].accuracy == pytest.approx(0.85)


def test_a_job_killed_at_its_start_is_of_its_sweeps_row(outputs):
    job = make_run(outputs / "sweeps" / "first" / "fold_8", fold=8)
    (job / "manifest.json").write_text("")
    [row] = [row for row in listed(outputs) if row.path.name == "first"]
    assert (row.status, row.folds) == (RunStatus.UNFINISHED, "1, 2 of 3")
    assert row.date.startswith("2026-11-21")


def test_a_sweep_is_as_far_as_its_worst_job(outputs):
    status = {row.path.name: row.status for row in listed(outputs)[1:]}
    assert status["second"] is RunStatus.UNFINISHED
    assert status["first"] is RunStatus.DONE
    assert status["10"] is RunStatus.FAILED


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({"name": "no_*"}, ["second"]),
        ({"status": RunStatus.DONE, "task": "train"}, ["first"]),
        ({"status": RunStatus.FAILED}, ["10"]),
        ({"task": "report"}, ["10"]),
        ({"name": "nothing"}, []),
    ],
)
def test_filters(outputs, filters, left):
    assert [row.path.name for row in listed(outputs, **filters)] == left


def test_the_table_shows_names_as_they_are(outputs):
    console = Console(width=200, record=True, file=(outputs / "shown").open("w"))
    with console.file:
        console.print(table_of_runs(listed(outputs), Path("outputs")))
    shown = console.export_text()
    assert "[red]" in shown
    assert "0.850" in shown
    assert str(outputs / "sweeps" / "first") in shown
