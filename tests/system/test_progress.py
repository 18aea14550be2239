"""How far it is, how fast, and how long it will take: as a bar, or as a few lines."""

import logging

from rich.console import Console

from lmol.system import progress as module
from lmol.system.progress import progress


def test_without_a_terminal_a_few_lines_tell_rate_and_time_left(caplog, monkeypatch):
    monkeypatch.setattr(module, "get_console", lambda: Console(force_terminal=False))
    monkeypatch.setattr(module, "QUIET", 0.0)
    with caplog.at_level(logging.INFO), progress("Judging", 100, "pairs") as advance:
        for _ in range(100):
            advance(1)
    assert len(caplog.messages) == 4
    assert caplog.messages[0].startswith("Judging: 25 of 100 pairs (")
    assert caplog.messages[-1].endswith("/s, 0 s left)")


def test_what_takes_a_moment_needs_no_lines(caplog, monkeypatch):
    monkeypatch.setattr(module, "get_console", lambda: Console(force_terminal=False))
    with caplog.at_level(logging.INFO), progress("Judging", 100, "pairs") as advance:
        advance(100)
    assert caplog.messages == []


def test_nothing_to_do_is_no_fault(caplog):
    with caplog.at_level(logging.INFO), progress("Judging", 0, "pairs") as advance:
        advance(0)
    assert caplog.messages == []


def test_a_terminal_shows_a_bar_with_the_rate(monkeypatch):
    console = Console(force_terminal=True, width=120, record=True)
    monkeypatch.setattr(module, "get_console", lambda: console)
    with progress("Judging", 10, "pairs") as advance:
        for _ in range(5):
            advance(2)
    shown = console.export_text()
    assert "Judging" in shown
    assert "pairs/s" in shown
