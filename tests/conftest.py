"""What many tests share: no network, one thread, blank pictures, the embedded base, a few faces.

The process that hands out tests imports this too: torch and transformers wait for fixtures.
"""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure, FigureBase
from PIL import Image

from lmol.audit.plots import FlowPicture
from lmol.data.sources.synthetic import SyntheticFaces

if TYPE_CHECKING:
    from lmol.model.vlm.comparer import Comparer


class BlankAxes:
    """Axes that take every call and draw nothing; what they return does the same."""

    def __getattr__(self, name: str) -> "BlankAxes":
        if name.startswith("__"):  # what NumPy and copy ask for is not drawing
            raise AttributeError(name)
        return self

    def __getitem__(self, key: Any) -> "BlankAxes":
        return self

    def __call__(self, *arguments: Any, **options: Any) -> "BlankAxes":
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())


def blank_subplots(
    figure: Figure, rows: int = 1, columns: int = 1, *, squeeze: bool = True, **options: Any
) -> Any:
    axes = np.full((rows, columns), BlankAxes(), dtype=object)
    found = axes.squeeze() if squeeze else axes
    return found if found.ndim else found.item()


def save_blank(figure: Figure | None, path: Any, **options: Any) -> None:
    Image.new("RGB", (8, 8)).save(path, format="PNG")


def draw_blank(plot: FlowPicture, table: pd.DataFrame, step: int, path: Path) -> None:
    save_blank(None, path)


def take_blank(figure: Figure, *arguments: Any, **options: Any) -> BlankAxes:
    return BlankAxes()


BLANK = {
    (FigureBase, "subplots"): blank_subplots,
    (FigureBase, "add_subplot"): take_blank,
    (FigureBase, "add_axes"): take_blank,
    (FigureBase, "legend"): take_blank,
    (Figure, "savefig"): save_blank,
    (FlowPicture, "draw"): draw_blank,
}
"""What figures do in tests that are not about pictures; drawing takes a third of a training."""

DRAWING = {(kind, name): getattr(kind, name) for kind, name in BLANK}

Methods = dict[tuple[type, str], Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="also the tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests to make test-all, except one named on the command line."""
    if config.option.all or any("::" in argument for argument in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


def pytest_collection_finish() -> None:
    """Spare every later collection of garbage the million objects of the imported libraries."""
    gc.collect()
    gc.freeze()


def set_methods(patch: pytest.MonkeyPatch, methods: Methods) -> None:
    for (kind, name), method in methods.items():
        patch.setattr(kind, name, method)


@pytest.fixture(scope="session", autouse=True)
def _blank_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        set_methods(patch, BLANK)
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
    """A fresh comparer on the embedded base, whose adapters already do something."""
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
