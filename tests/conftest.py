"""What many tests share: no network, one thread, the embedded base, and a handful of faces."""

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import pandas as pd
import pytest
import torch

from lmol.data.synthetic import SyntheticFaces
from lmol.model.vlm.comparer import Comparer
from tests.tiny import build_tiny


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
    return SyntheticFaces(root=root, num_images=60, image_size=64, seed=7).load()
