"""task=report: write one HTML page about finished runs, or list the existing runs."""

from __future__ import annotations

import logging
import sys
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console

from lmol.config import Config
from lmol.config.schema import ReportConfig, TrackingMode
from lmol.errors import ConfigError, LmolError
from lmol.report.listing import listed_runs, table_of_runs
from lmol.report.online import online_report, spec, upload
from lmol.report.page import render_page
from lmol.report.recipes import Subject, subject_of
from lmol.report.runs import reported_runs
from lmol.runs.past_runs import OUTPUTS
from lmol.runs.run_folder import RunFolder
from lmol.system.files import write_text

log = logging.getLogger(__name__)

PAGE, SPEC = "report.html", "wandb_report.json"
FILTERS = ("name", "task", "status")
WIDE = 200
"""Characters of a line without a terminal, so that a path is not broken."""


def run(config: Config, run: RunFolder) -> None:
    """Write a page if runs are named; otherwise list the existing runs."""
    refuse_unused(config, listing=config.runs is None)
    if config.runs is None:
        list_runs(config.report)
    elif run.writes:
        make_page([config.runs] if isinstance(config.runs, str) else config.runs, config, run)


def make_page(folders: list[str], config: Config, run: RunFolder) -> None:
    """Read the runs, write the page, and log its place."""
    if not folders:
        raise LmolError(
            "runs",
            got="an empty list",
            expected="folders of runs or sweeps",
            remedy="name them with runs=a,b, or leave runs out to list them",
        )
    page = page_file(config.report.page, run)
    subject = subject_of(reported_runs(folders))
    log_subject(subject)
    online = online_report(subject) if config.tracking.mode is TrackingMode.ONLINE else None
    write_text(page, render_page(subject, datetime.now(timezone.utc)))
    run.note(runs=folders, page=str(page))
    log.info("Report: %s (%.1f MB)", page, page.stat().st_size / 1e6)
    if online is not None:
        run.write_text(SPEC, spec(online))
        address = upload(online)
        run.note(wandb_report=address)
        log.info("W&B report: %s", address)


def list_runs(wanted: ReportConfig) -> None:
    """Show the runs below outputs/, and the command that makes a page of them."""
    entries = listed_runs(OUTPUTS, wanted)
    if not entries:
        log.info("No such run below %s", OUTPUTS.absolute())
        if all(getattr(wanted, name) is None for name in FILTERS):
            log.info("To make the first one: python -m lmol.run")
        return
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    console.print(table_of_runs(entries, OUTPUTS))
    log.info("A page of runs or sweeps: python -m lmol.run task=report runs=PATH,PATH")


def log_subject(subject: Subject) -> None:
    """Log which runs are averaged, which are left out, and which are not compared."""
    for recipe in subject.recipes:
        missing = f", missing: {', '.join(map(str, recipe.missing))}" if recipe.missing else ""
        log.info("%s: %d of %d folds%s", recipe.label, len(recipe.runs), recipe.num_folds, missing)
    for found in subject.left_out:
        log.warning("Left out: %s (%s)", found.run.path, found.reason)
    for reason in subject.refusals.values():
        log.warning("No paired comparison: %s", reason)


def page_file(page: str | None, run: RunFolder) -> Path:
    """Return the file of the page; an existing page is replaced, any other file is refused.

    Raises LmolError if no page can be written.
    """
    if page is None:
        return run.path / PAGE
    path = Path(page).absolute()
    if path.suffix != ".html" or path.is_dir():
        raise _no_page(page, "no name of an HTML file", "a file that ends in .html")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_page(page, f"a place where no folder can be made ({error.strerror})", "a file "
                       "that can be written") from error  # fmt: skip
    return path


def _no_page(page: str, got: str, expected: str) -> LmolError:
    remedy = "choose another with report.page=..., or leave it out"
    return LmolError("report.page", got=f"{page}, {got}", expected=expected, remedy=remedy)


def refuse_unused(config: Config, *, listing: bool) -> None:
    """Raise ConfigError for settings of the page without one, and of the list beside a page."""
    if listing:
        online = config.tracking.mode is TrackingMode.ONLINE
        given = {"report.page": config.report.page, "tracking.mode": "online" if online else None}
        shown, where, remedy = "list", "with", "add runs=..., or leave this setting out"
    else:
        given = {f"report.{name}": getattr(config.report, name) for name in FILTERS}
        shown, where, remedy = "page", "without", "leave out this setting, or runs=..."
    expected = f"this value only {where} runs=..., which makes a page"
    problems: list[LmolError] = [
        LmolError(key, got=f"{value}, for a {shown} of runs", expected=expected, remedy=remedy)
        for key, value in given.items()
        if value is not None
    ]
    if problems:
        raise ConfigError(problems)
