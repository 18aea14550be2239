"""Each rule finds the fault that is its own, planted in a real run."""

from dataclasses import fields

import pytest

from lmol.audit.health_rules import AT_ONCE, AT_VALIDATION, BY_WINDOW
from lmol.audit.rules import FROZEN, START_RULES, STEP_RULES
from lmol.config.rule_list import ADVICE
from lmol.config.schema import AuditRules, HealthRules
from lmol.experiments.bench.fault_runs import Fault, found
from lmol.experiments.bench.faults import FAULTS
from tests.audit.planted import PLANTED, along_depth, write_deep_base
from tests.experiments.test_faults import by_length, steps

AUDIT = {field.name for field in fields(AuditRules)}
HEALTH = {field.name for field in fields(HealthRules)}


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("fault", [*by_length(PLANTED)])
def test_a_rule_finds_its_own_fault(fault):
    result = found(fault, *steps(fault))
    assert set(fault.rules) <= result["findings"].keys()
    for rule in fault.rules:
        assert result["findings"][rule]["first_step"] >= fault.since


@pytest.fixture(scope="module")
def deep_base(tmp_path_factory):
    """Weights of a base with 8 layers."""
    return write_deep_base(tmp_path_factory.mktemp("deep"))


@pytest.mark.parametrize(
    ("factor", "rule"), [(0.02, "vanishing_depth"), (50.0, "exploding_depth"), (1.0, None)]
)
def test_trends_against_depth_are_found(deep_base, factor, rule):
    clip = ("optim.grad_clip=1e-3",)  # so that exploding gradients do no harm meanwhile
    fault = Fault(
        name="depth",
        rules=(),
        overrides=(f"model.backbone.weights={deep_base}", *clip),
        plant=along_depth(factor),
    )
    depth = {"vanishing_depth", "exploding_depth"} & found(fault, *steps(fault))["findings"].keys()
    assert depth == ({rule} if rule else set())


def test_every_rule_has_a_setting_advice_and_a_planted_fault():
    asked = {*STEP_RULES, *START_RULES, FROZEN}
    assert asked == AUDIT
    assert {*AT_ONCE, *BY_WINDOW, *AT_VALIDATION} == HEALTH
    assert ADVICE.keys() == AUDIT | HEALTH
    planted = {rule for fault in (*FAULTS, *PLANTED) for rule in fault.rules}
    assert planted | {"vanishing_depth", "exploding_depth"} == AUDIT | HEALTH
