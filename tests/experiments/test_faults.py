"""Every fault that the benchmark plants is found by the rule that ought to find it."""

import pytest

from lmol.experiments.bench.fault_runs import LONGER, Fault, found
from lmol.experiments.bench.faults import FAULTS


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found(fault, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = found(fault)
    assert set(fault.rules) <= result["findings"].keys()
    for rule in fault.rules:
        finding = result["findings"][rule]
        assert finding["first_step"] >= fault.since or finding["first_step"] == 0
        assert finding["helps"]
    acted = [entry["actions"] for entry in result["findings"].values()]
    assert (result["ended"] == "stopped") == any("stopped" in told for a in acted for told in a)


def test_a_run_without_a_fault_has_no_findings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = found(Fault(name="none", rules=(), overrides=LONGER))
    assert (result["ended"], result["steps"]) == ("done", 200)
    assert [e for e in result["findings"].values() if e["severity"] != "info"] == []
