"""Findings are collected by rule, logged once, and acted on once; the summary explains them."""

import logging

from lmol.audit.findings import Findings, finding_of
from lmol.audit.summary import summary_text
from lmol.config.schema import Action, RuleConfig, Severity

WARNING = RuleConfig(threshold=0, severity=Severity.WARNING, action=Action.LOG)
ERROR = RuleConfig(threshold=0, severity=Severity.ERROR, action=Action.STOP)


def test_a_rule_is_logged_once_and_counted(caplog):
    findings = Findings()
    with caplog.at_level(logging.INFO):
        for step, place in ((3, "a"), (4, "b"), (9, "a")):
            findings.add(finding_of("dead_relu", WARNING, step, "all is zero", (place,)))
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING
    [entry] = findings.as_list()
    assert (entry["first_step"], entry["last_step"], entry["times"]) == (3, 9, 3)
    assert entry["places"] == ["a", "b"]


def test_only_what_is_to_be_acted_on_is_pending_and_once():
    findings = Findings()
    findings.add(finding_of("dead_relu", WARNING, 1, "x"))
    findings.add(finding_of("zero_gradient", ERROR, 1, "y"))
    assert [finding.rule for finding in findings.take_pending()] == ["zero_gradient"]
    assert findings.take_pending() == []
    assert [entry.first.rule for entry in findings.of(Severity.ERROR)] == ["zero_gradient"]


def test_many_places_are_shortened_in_the_message():
    finding = finding_of("dead_relu", WARNING, 2, "zero", tuple("abcdef"))
    assert str(finding) == "dead_relu (warning), step 2: zero (a, b, c and 3 more)"


def values(findings, audited, memory, skipped=0):
    return {
        "steps": 7,
        "skipped_steps": skipped,
        "findings": findings,
        "audited_steps": audited,
        "rules_asked": 36,
        "memory": memory,
    }


def test_the_summary_says_what_where_since_when_and_what_helps():
    findings = Findings()
    findings.add(finding_of("dead_relu", WARNING, 3, "all is zero", ("projector.act",)))
    findings.add(finding_of("zero_gradient", ERROR, 0, "nothing flows"))
    findings.acted("zero_gradient", "step 1: stopped the run")
    memory = {
        "frozen_weights": 2e6, "lora": 1e6, "projector": 1e6, "gradients": 2e6,
        "optimizer_state": 4e6, "saved_activations": 5e6, "largest_batch_pairs": 321,
    }  # fmt: skip
    text = summary_text(values(findings.as_list(), [1, 2], memory, skipped=1))
    assert text.index("error: zero_gradient") < text.index("warning: dead_relu")
    for expected in (
        "7 steps were trained, 2 of them audited (1, 2), 1 skipped. 36 rules were checked; 2 had",
        "- found: all is zero (projector.act)",
        "- since: before the first step",
        "- done: step 1: stopped the run",
        "- what usually helps: Lower the learning rate",
        "| optimizer state | 4.00 |",
        "about 321 pairs would fit",
    ):
        assert expected in text


def test_a_summary_without_findings_says_so():
    assert "every trained tensor has gradients" in summary_text(values([], [1, 2], {}))
    assert "almost no steps were audited" in summary_text(values([], [1], {}))
    unknown: dict[str, int | None] = dict.fromkeys(
        ("frozen_weights", "lora", "projector", "gradients"), 0
    )
    unknown |= {"optimizer_state": 0, "saved_activations": 0, "largest_batch_pairs": None}
    assert "is not known" in summary_text(values([], [1], unknown))
