"""Signals that end the command: Ctrl-C, SIGTERM and SIGHUP raise one exception, perhaps later.

During work that must be whole, such as an optimizer step, a signal is held and raised at its end;
a second signal ends the command at once.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    *(getattr(signal, name) for name in ("SIGUSR1",) if hasattr(signal, name)),
)
"""SIGUSR1 is Slurm's usual warning before a time limit; Windows lacks it."""

BASE_CODE = 128
"""Number to which a shell adds the signal's: 130 for Ctrl-C, 143 for SIGTERM."""

AGAIN = 75
"""Exit code of a run that reached its own time limit; sysexits.h means by it: try again later."""

SAME = 2.0
"""Seconds in which further signals count as the first: torchrun and a terminal send one each."""

POLL = 0.5
"""Seconds between two checks of the parent process."""


class Stopped(KeyboardInterrupt):
    """Exception of a signal that ends the command. kept: the kept checkpoint, in words."""

    def __init__(self, number: int, by: str = "") -> None:
        name = by or ("" if number == signal.SIGINT else signal.Signals(number).name)
        super().__init__(f"interrupted by {name}" if name else "interrupted")
        self.code, self.kept = BASE_CODE + number, ""


class TimeLimit(Stopped):
    """The exception of a training that reached train.max_minutes."""

    def __init__(self) -> None:
        super().__init__(0, "train.max_minutes")
        self.code = AGAIN


def exit_code(error: KeyboardInterrupt) -> int:
    """Return the exit code of a command that was interrupted."""
    return error.code if isinstance(error, Stopped) else BASE_CODE + signal.SIGINT


def describe_interrupt(error: KeyboardInterrupt) -> str:
    """Return what ended the run, in words for the manifest and the last line."""
    return str(error) or "interrupted"


class Signals:
    """The signal handler of this process, and its state of holding signals."""

    def __init__(self) -> None:
        self._depth, self._pending, self._first = 0, 0, 0.0
        self._before: Callable[[], None] = lambda: None
        self.active = False

    def begin(self, before: Callable[[], None]) -> None:
        """Forget earlier signals. before: called at the first one."""
        self._depth, self._pending, self._first, self._before = 0, 0, 0.0, before
        self.active = True

    def hold(self) -> None:
        """Let a signal wait until `release`."""
        self._depth += 1

    def release(self) -> None:
        """Raise the waiting signal, if any, unless another block still holds it."""
        self._depth -= 1
        if self._depth == 0:
            self.raise_pending()

    @property
    def pending(self) -> int:
        """Return the number of the waiting signal; 0 if no signal waits."""
        return self._pending

    def raise_pending(self) -> None:
        """Raise the waiting signal, if any, also while signals are held."""
        if self._pending:
            number, self._pending = self._pending, 0
            raise Stopped(number)

    def handle(self, number: int, frame: object) -> None:
        """Raise Stopped, now or at `release`."""
        now = time.monotonic()
        if self._first and now - self._first < SAME:
            return
        if not self._first:
            self._first = now
            self._before()
            if self._depth:
                self._pending = number
                return
        self._pending = 0
        raise Stopped(number)


SIGNALS_OF_PROCESS = Signals()


@contextmanager
def held() -> Iterator[None]:
    """Let a signal wait until the block's end."""
    SIGNALS_OF_PROCESS.hold()
    try:
        yield
    finally:
        SIGNALS_OF_PROCESS.release()


@contextmanager
def let_through() -> Iterator[None]:
    """Raise signals at once in this block, which is inside of exactly one that holds them."""
    try:
        SIGNALS_OF_PROCESS.release()
        yield
    finally:
        SIGNALS_OF_PROCESS.hold()


@contextmanager
def ending_by_signals(before: Callable[[], None]) -> Iterator[None]:
    """Handle signals while the block runs; handlers of nohup or a launcher stay.

    before: called at the first signal, before it is raised.
    """
    SIGNALS_OF_PROCESS.begin(before)
    replaced = _install()
    try:
        yield
    finally:
        SIGNALS_OF_PROCESS.active = False
        for number, handler in replaced.items():
            signal.signal(number, handler)


def _install() -> dict[int, Any]:
    """Return the handlers that were replaced; only the main thread may replace any."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    found: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    replaced = {number: handler for number, handler in found.items() if handler in defaults}
    for number in replaced:
        signal.signal(number, SIGNALS_OF_PROCESS.handle)
    return replaced


def end_with_parent(parent: int) -> None:
    """Send SIGTERM to this process once its parent is gone, from a separate thread."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lmol-parent", daemon=True).start()
