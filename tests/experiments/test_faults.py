"""Every fault that the benchmark plants is found by the rule that ought to find it."""

from dataclasses import fields

import pytest

from lmol.config.schema import HealthRules
from lmol.experiments.bench.audit_steps import shares
from lmol.experiments.bench.fault_runs import LONGER, Fault, found
from lmol.experiments.bench.faults import FAULTS

COUNTED = {"skipped_steps", *(field.name for field in fields(HealthRules))}
"""Rules that need the steps of the benchmark: they count, or compare with a window before."""


def steps(fault):
    """Return overrides for six steps where an audit finds the fault in one of them."""
    longer = set(LONGER) <= set(fault.overrides) or fault.since or COUNTED & set(fault.rules)
    return () if longer else ("data.schedule.num_pairs=96", "data.source.num_images=60")


def by_length(faults):
    """Those that take 120 steps wait for make test-all."""
    for fault in faults:
        longer = set(LONGER) <= set(fault.overrides)
        yield pytest.param(fault, id=fault.name, marks=[pytest.mark.slow] if longer else [])


@pytest.mark.parametrize("fault", [*by_length(FAULTS)])
def test_a_planted_fault_is_found(fault, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = found(fault, *steps(fault))
    assert set(fault.rules) <= result["findings"].keys()
    for rule in fault.rules:
        finding = result["findings"][rule]
        assert finding["first_step"] >= fault.since or finding["first_step"] == 0
        assert finding["helps"]
    actions = [action for entry in result["findings"].values() for action in entry["actions"]]
    assert (result["ended"] == "stopped") == any("stopped" in action for action in actions)


@pytest.mark.slow
def test_a_run_without_a_fault_has_no_findings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = found(Fault(name="none", rules=(), overrides=LONGER))
    assert (result["ended"], result["steps"]) == ("done", 120)
    assert [e for e in result["findings"].values() if e["severity"] != "info"] == []


def test_the_cost_of_an_audit_is_what_audited_steps_take_more():
    """Step 1 draws axes and a picture; even steps are audited, step 4 is drawn too."""
    seconds = [1.0, 0.13, 0.10, 0.18, 0.10, 0.13, 0.10, 0.13]
    row = shares(seconds, drawn={1, 4}, ends=0.5, runs=(1000, 12, 11))
    assert row["step_ms"] == pytest.approx(100)
    assert row["audit_ms"] == pytest.approx(30)
    assert row["picture_ms"] == pytest.approx(50)
    assert row["once_ms"] == pytest.approx(1000 - 180 + 500)
    default = 12 * 0.03 + 11 * 0.05 + 0.82 + 0.5
    assert row["default_%"] == pytest.approx(100 * default / 100)
