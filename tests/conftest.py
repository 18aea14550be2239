"""Fixtures shared by many tests: one thread, blank pictures, the tiny base, a few faces.

The process that hands out tests imports this too: torch and transformers wait for fixtures.
"""

import gc
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

os.environ["HF_HUB_OFFLINE"] = "1"

import pandas as pd
import pytest

from lmol.data.sources.synthetic import SyntheticFaces
from tests.blank_pictures import BLANK, DRAWING, set_methods
from tests.remembered import remember

if TYPE_CHECKING:
    from lmol.model.vlm.comparer import Comparer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="also the tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests to make test-all, except one named on the command line."""
    if config.option.all or any("::" in argument for argument in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


def pytest_collection() -> None:
    """Import libraries without the search for garbage among a million objects."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Spare every later collection of garbage the million objects of the imported libraries."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _quick_commands() -> Iterator[None]:
    """Draw blank pictures, and do once what is the same for all commands."""
    with pytest.MonkeyPatch.context() as patch:
        set_methods(patch, BLANK)
        remember(patch)
        yield


@pytest.fixture(autouse=True)
def _pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw in earnest for tests marked `pictures`."""
    if request.node.get_closest_marker("pictures"):
        set_methods(monkeypatch, DRAWING)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def comparer() -> "Comparer":
    """A fresh comparer on the tiny base, whose adapters already do something."""
    import torch

    from tests.tiny import build_tiny

    built = build_tiny()
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if parameter.requires_grad and ".lora_B." in name:
                parameter.normal_(std=0.05)
    return built


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The score table of 60 synthetic faces."""
    root = Path(tmp_path_factory.mktemp("faces"))
    return SyntheticFaces(root=root, num_images=60, image_size=64, seed=7).load().images


def pytest_sessionfinish() -> None:
    """Let Hypothesis, which its plugin imports after the tests, see who holds its generators."""
    gc.unfreeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests of bad input tried."""
    for report in chain.from_iterable(terminalreporter.stats.values()):
        if getattr(report, "when", None) == "teardown":
            for name, tried in report.user_properties:
                terminalreporter.write_line(f"{name}: {tried}")
