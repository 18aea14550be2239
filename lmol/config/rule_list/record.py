"""The record of a rule of audit or health."""

from __future__ import annotations

from dataclasses import dataclass

from lmol.config.choices import Action, Severity


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule with its defaults; most rules log a warning. means: the threshold's meaning.

    share: the threshold is a share. advice: what usually helps, in one or two sentences.
    """

    name: str
    means: str
    threshold: float
    advice: str
    severity: Severity = Severity.WARNING
    action: Action = Action.LOG
    share: bool = False

    def defaults(self) -> dict[str, object]:
        """Return the settings as a configuration holds them."""
        return {
            "threshold": self.threshold,
            "severity": self.severity.value,
            "action": self.action.value,
        }
