"""task=audit: audit every one of the first steps of a recipe, and report; no results.

Run it before you rent a large machine for the recipe.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.trainer_utils import SaveStrategy

from lmol.audit.monitor import Monitor
from lmol.audit.output import SUMMARY
from lmol.config import Config
from lmol.config.schema import Action, AuditConfig, AuditLevel, AuditRules, Severity
from lmol.errors import ConfigError, HealthError, LmolError
from lmol.model.device import require_device
from lmol.runs.run_folder import RunFolder
from lmol.tracking.opening import open_tracker
from lmol.tracking.tracker import Tracker
from lmol.training.callbacks import RunLog
from lmol.training.trainer import ComparisonTrainer
from lmol.workflow.fit import monitor_of, train, trainer_of
from lmol.workflow.memory import require_memory
from lmol.workflow.session import Session
from lmol.workflow.stepless import takes_no_steps
from lmol.workflow.training import training_session
from lmol.workflow.validation import Validator

log = logging.getLogger(__name__)


def run(config: Config, run: RunFolder) -> None:
    """Audit the recipe; once the report is written, raise HealthError if a finding is an error."""
    require_audit(config)
    require_device(config)
    require_memory(config)
    with open_tracker(config, run) as tracker:
        audit(config, run, tracker)


def audit(config: Config, run: RunFolder, tracker: Tracker) -> None:
    """Train some steps, each audited, and show the summary."""
    every_step = replace(config.train, log_every=1)
    config = replace(config, audit=logging_only(config.audit), train=every_step)
    session = training_session(config, run, tracker)
    require_steps(session)
    monitor = monitor_of(session, every_step=True)
    callbacks = [RunLog(run.append_metrics, tracker), StopAfter(config.audit.steps)]
    trainer = trainer_of(session, monitor, Validator(session), callbacks)
    trainer.args.save_strategy = SaveStrategy.NO
    try:
        train(trainer, monitor, run)
    finally:
        show(run, trainer)
    refuse_errors(monitor)


def show(run: RunFolder, trainer: ComparisonTrainer) -> None:
    """Log the summary, and remove the Trainer's empty folder of checkpoints."""
    with suppress(OSError):
        trainer.folder.rmdir()
    if (run.path / SUMMARY).is_file():
        log.info("%s", (run.path / SUMMARY).read_text())


def require_audit(config: Config) -> None:
    """Raise ConfigError if the audit is off."""
    if config.audit.level is AuditLevel.OFF:
        problem = LmolError(
            "audit.level",
            got="off, for task=audit",
            expected="default or full",
            remedy="leave audit=off out, or set audit=full",
        )
        raise ConfigError([problem])


def require_steps(session: Session) -> None:
    """Raise ConfigError if the session's model is not trained by steps."""
    if takes_no_steps(session):
        problem = LmolError(
            "task",
            got=f"audit, of {type(session.model).__name__} without optimizer steps",
            expected="a model that is trained by steps",
            remedy="run it without task=audit: there is nothing to audit",
        )
        raise ConfigError([problem])


def logging_only(audit: AuditConfig) -> AuditConfig:
    """Draw every step, and only log findings, so that all of them are reported."""
    rules = {name: replace(rule, action=Action.LOG) for name, rule in vars(audit.rules).items()}
    return replace(audit, picture_interval=1, rules=AuditRules(**rules))


class StopAfter(TrainerCallback):
    """Callback that ends training after some steps, before its schedule ends."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def on_step_end(
        self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        control.should_training_stop |= state.global_step >= self._steps


def refuse_errors(monitor: Monitor) -> None:
    """Raise HealthError if a finding is an error, so that a script can test the exit code."""
    errors = monitor.findings.of(Severity.ERROR)
    if errors:
        raise HealthError(
            "task=audit",
            got=f"{len(errors)} error(s): {'; '.join(str(entry.first) for entry in errors)}",
            expected="a recipe without findings of severity error",
            remedy=f"read {SUMMARY} in the run folder, which names the usual remedies",
        )
