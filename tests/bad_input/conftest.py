"""A counter of attempts for each kind; make test prints what it has counted."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bad_input.attempts import Attempts


@pytest.fixture
def attempts(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Iterator[Callable[[str, Path], Attempts]]:
    """Return a function that makes the counter of a kind."""
    made: list[Attempts] = []

    def make(kind: str, folder: Path) -> Attempts:
        made.append(Attempts(kind, folder))
        return made[-1]

    yield make
    for counter in made:
        record_property("bad input tried", counter.summary())
