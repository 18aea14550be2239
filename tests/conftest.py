"""What many tests share: no network, one thread, blank pictures, the embedded base, a few faces."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from lmol.data.sources.synthetic import SyntheticFaces
from lmol.model.vlm.comparer import Comparer
from tests.tiny import build_tiny

DRAW = Figure.savefig


def write_blank(figure: Figure, path: Any, **options: Any) -> None:
    """Stand for Figure.savefig where no test looks: drawing takes a third of a small training."""
    Image.new("RGB", (8, 8)).save(path, format="PNG")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="also the tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests to make test-all, except one named on the command line."""
    if config.option.all or any("::" in argument for argument in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


@pytest.fixture(scope="session", autouse=True)
def _blank_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", write_blank)
        yield


@pytest.fixture(autouse=True)
def _pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw in earnest for tests marked `pictures`."""
    if request.node.get_closest_marker("pictures"):
        monkeypatch.setattr(Figure, "savefig", DRAW)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def comparer() -> Comparer:
    """A fresh comparer on the embedded base, whose adapters already do something."""
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
