"""Attempts to read bad input: each returns, or raises an LmolError with its place, and is counted.

A short version of each kind runs in make test, and one of at least 1,000 cases in make test-all.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings

from lmol.errors import ConfigError, LmolError

SECONDS = 120.0
"""Longest time for one attempt, also beside other work; the slowest takes some seconds."""

SHORT, FULL = 30, 1000
"""Smallest numbers of cases of a kind in make test and in make test-all."""

KEYS = "keys"
"""Place of a ConfigError, each problem of which is about a key."""

SIZES = [
    pytest.param(SHORT, id="short"),
    pytest.param(FULL, id="full", marks=pytest.mark.slow),
]

Result = TypeVar("Result")
Tried = Callable[["Attempts"], None]


class Hang(BaseException):
    """An attempt that did not end; no `except Exception` can hide it."""


def cases(number: int) -> settings:
    """Return hypothesis's settings for this number of cases, the same ones in every run."""
    return settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
    )


class Attempts:
    """Counts of the attempts of one kind, by fault and by outcome.

    folder: in which no attempt may leave a file.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self._folder = kind, folder
        self.outcomes: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def __call__(
        self, fault: str, call: Callable[[], Result], places: Sequence[object]
    ) -> Result | None:
        """Return the result of a call, or None if it raised an LmolError that names a place.

        fault: what is wrong with the input, in a word or two. Every other exception is let through.
        """
        before = self._files()
        self.faults[fault] += 1
        result, outcome = None, "accepted"
        try:
            with time_limit(SECONDS):
                result = call()
        except LmolError as error:
            outcome = "refused"
            _require_place(error, places)
        self.outcomes[outcome] += 1
        assert self._files() == before, "files were left"
        return result

    def summary(self) -> str:
        """Return the numbers of cases in words."""
        outcomes = ", ".join(f"{number} {name}" for name, number in sorted(self.outcomes.items()))
        faults = ", ".join(f"{name} {number}" for name, number in sorted(self.faults.items()))
        return f"{self.kind}: {self.outcomes.total()} cases ({outcomes}): {faults}"

    def _files(self) -> set[Path]:
        return set(self._folder.rglob("*"))


def _require_place(error: LmolError, places: Sequence[object]) -> None:
    """Fail if the message is without a place, or has an empty part."""
    problems = error.problems if isinstance(error, ConfigError) else [error]
    assert problems, "an error without a problem"
    message = str(error)
    of_keys = KEYS in places and isinstance(error, ConfigError)
    assert of_keys or any(str(p) in message for p in places), f"without a place: {message}"
    for problem in problems:
        parts = (problem.where, problem.got, problem.expected, problem.remedy)
        assert all(part.strip() for part in parts), f"an empty part in {problem!r}"


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise Hang in the block after this time."""

    def stop(*_: object) -> None:
        raise Hang(f"no end after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
