"""Findings of the rules: logged the first time, collected by rule, and queued for interventions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lmol.config.rule_list import ADVICE
from lmol.config.schema import Action, RuleConfig, Severity

log = logging.getLogger(__name__)

SHOWN_PLACES = 3
LEVELS = {severity: int(getattr(logging, severity.name)) for severity in Severity}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Finding of a rule at an optimizer step (0: before the first). message: a clause."""

    rule: str
    step: int
    message: str
    severity: Severity
    action: Action
    places: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.rule} ({self.severity.value}), step {self.step}: {self.sentence}"

    @property
    def sentence(self) -> str:
        """Return the problem and its places as one clause."""
        return f"{self.message}{_in_places(self.places)}"


def finding_of(
    rule: str, config: RuleConfig, step: int, message: str, places: tuple[str, ...] = ()
) -> Finding:
    """Return a finding with the severity and the action that the configuration gives its rule."""
    return Finding(
        rule=rule,
        step=step,
        message=message,
        severity=config.severity,
        action=config.action,
        places=places,
    )


def _in_places(places: tuple[str, ...]) -> str:
    if not places:
        return ""
    more = len(places) - SHOWN_PLACES
    further = f" and {more} more" if more > 0 else ""
    return f" ({', '.join(places[:SHOWN_PLACES])}{further})"


def _finding(stored: Mapping[str, Any]) -> Finding:
    """Return a finding from the values that asdict made of it."""
    kinds = {"severity": Severity(stored["severity"]), "action": Action(stored["action"])}
    return Finding(**{**stored, **kinds, "places": tuple(stored["places"])})


@dataclass
class Entry:
    """All findings of one rule: the first, the step of the last, their number, places, actions."""

    first: Finding
    last_step: int
    times: int = 0
    places: dict[str, None] = field(default_factory=dict)
    actions: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "rule": self.first.rule,
            "severity": self.first.severity.value,
            "found": self.first.sentence,
            "first_step": self.first.step,
            "last_step": self.last_step,
            "times": self.times,
            "places": list(self.places),
            "actions": self.actions,
            "helps": ADVICE[self.first.rule],
        }


class Findings:
    """Ledger of a run: one entry per rule, in the order of their first findings."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._pending: list[Finding] = []

    def state_dict(self) -> dict[str, Any]:
        entries = [asdict(entry) for entry in self.entries.values()]
        return {"entries": entries, "pending": [asdict(finding) for finding in self._pending]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        entries = [Entry(**{**one, "first": _finding(one["first"])}) for one in state["entries"]]
        self.entries = {entry.first.rule: entry for entry in entries}
        self._pending = [_finding(one) for one in state["pending"]]

    def add(self, finding: Finding) -> None:
        """Add a finding; log the first one of a rule together with the rule's advice."""
        if finding.rule not in self.entries:
            self.entries[finding.rule] = Entry(first=finding, last_step=finding.step)
            log.log(LEVELS[finding.severity], "%s. %s", finding, ADVICE[finding.rule])
        entry = self.entries[finding.rule]
        entry.last_step, entry.times = finding.step, entry.times + 1
        entry.places.update(dict.fromkeys(finding.places))
        if finding.action is not Action.LOG:
            self._pending.append(finding)

    def take_pending(self) -> list[Finding]:
        """Return the findings that need an action and remove them from the queue."""
        taken, self._pending = self._pending, []
        return taken

    def is_pending(self) -> bool:
        """Return True if a queued finding will change weights or end the run."""
        return any(found.action is not Action.SKIP_STEP for found in self._pending)

    def acted(self, rule: str, action: str) -> None:
        """Record the action that was taken for a rule's finding."""
        self.entries[rule].actions.append(action)

    def of(self, *severities: Severity) -> list[Entry]:
        """Return the entries with these severities."""
        return [e for e in self.entries.values() if e.first.severity in severities]

    def as_list(self) -> list[dict[str, Any]]:
        """Return all entries as plain values, the most severe first."""
        entries = sorted(self.entries.values(), key=lambda e: -LEVELS[e.first.severity])
        return [entry.as_dict() for entry in entries]
