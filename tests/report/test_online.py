"""A W&B report: what it shows is what runs are tracked with, and it is built without a network."""

import json
import socket
from pathlib import Path

import pytest
import wandb_workspaces.reports.v2.interface as wr

from lmol.errors import LmolError
from lmol.report.numbers import METRICS
from lmol.report.online import CURVES, online_report, spec
from lmol.report.recipes import subject_of
from lmol.report.runs import reported_runs
from tests.report.run_folders import make_sweep


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refused(self, address):
        raise AssertionError(f"asked for {address}")

    monkeypatch.setattr(socket.socket, "connect", refused)


def track(sweep, project="lmol", entity=None):
    for path in Path(sweep).glob("*/manifest.json"):
        manifest = json.loads(path.read_text())
        identity = {"id": f"{path.parent.parent.name}{path.parent.name}", "project": project}
        path.write_text(json.dumps(manifest | {"wandb": identity | {"entity": entity}}))


@pytest.fixture
def sweeps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, accuracies in (("one", (0.8, 0.81)), ("two", (0.7, 0.75))):
        make_sweep(Path(name), accuracies, name=name)
        track(name)
    return ["one", "two"]


def report_of(folders):
    return online_report(subject_of(reported_runs(folders)))


def panels_of(report):
    grids = [block for block in report.blocks if isinstance(block, wr.PanelGrid)]
    return grids, [panel for grid in grids for panel in grid.panels]


def test_each_recipe_is_a_run_set_of_its_own_runs(sweeps):
    report = report_of(sweeps)
    assert (report.project, report.entity) == ("lmol", "")
    grids, panels = panels_of(report)
    for grid in grids:
        assert [runs.name for runs in grid.runsets] == ["one", "two"]
        for runs in grid.runsets:
            assert f"{runs.name}fold_1" in runs.filters
            assert f"{runs.name}fold_2" in runs.filters
            assert ("one" in runs.filters) == (runs.name == "one")
    lines = [key for panel in panels if isinstance(panel, wr.LinePlot) for key in panel.y]
    assert lines == list(CURVES.values())
    assert sum(isinstance(panel, wr.BarPlot) for panel in panels) == len(METRICS)


def test_panels_do_not_lie_on_each_other(sweeps):
    for grid in panels_of(report_of(sweeps))[0]:
        cells = [
            (x, y)
            for panel in grid.panels
            for x in range(panel.layout.x, panel.layout.x + panel.layout.w)
            for y in range(panel.layout.y, panel.layout.y + panel.layout.h)
        ]
        assert len(set(cells)) == len(cells)
        assert max(x for x, _ in cells) == 23


def test_tables_and_sentences_are_those_of_the_page(sweeps):
    text = spec(report_of(sweeps))
    assert "One".lower() in text
    assert "over 2 shared folds two is 0.080 lower than one" in text
    assert "| recipe | folds | accuracy |" in text
    assert "0.805 \\u00b1 0.007" in text or "0.805 ± 0.007" in text


def test_what_is_stored_is_read_back_the_same(sweeps):
    report = report_of(sweeps)
    again = wr.Report._from_model(report._to_model())
    assert [type(block) for block in again.blocks] == [type(block) for block in report.blocks]
    first, second = (json.loads(spec(one))["blocks"] for one in (report, again))
    run_sets = [
        [block.get("metadata", {}).get("runSets") for block in one] for one in (first, second)
    ]
    assert run_sets[0] == run_sets[1]


def test_runs_that_wandb_does_not_know_are_refused(sweeps):
    make_sweep(Path("three"), (0.8, 0.9), name="three")
    with pytest.raises(LmolError, match=r"2 run\(s\) that W&B does not know, such as fold_1 and"):
        report_of([*sweeps, "three"])


def test_runs_of_two_projects_are_refused(sweeps):
    track("two", project="other", entity="team")
    with pytest.raises(LmolError, match="runs of lmol and team/other, for a W&B report"):
        report_of(sweeps)
