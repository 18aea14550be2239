"""What many tests share: no network, one thread, the embedded base, and a handful of faces."""

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import pandas as pd
import pytest
import torch

from lmol.config.schema import (
    AnswersConfig,
    LoraConfig,
    ModelConfig,
    ProjectorStart,
    PromptForm,
)
from lmol.data.synthetic import SyntheticFaces
from lmol.model.backbone import LlavaBackbone
from lmol.model.comparer import Comparer, build_comparer

TARGETS = r".*language_model\..*\.(q|k|v|o)_proj"
QUESTION = "Which face looks more attractive?"
ANSWERS = AnswersConfig(first="First", second="Second", similar="Similar")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def tiny_backbone(**changes: object) -> LlavaBackbone:
    settings = {
        "weights": "pkg://lmol.model.tiny_base",
        "revision": None,
        "dtype": "fp32",
        "quantization": "none",
        "double_quantization": True,
        "attention": "sdpa",
    }
    return LlavaBackbone(**{**settings, **changes})


def model_config(targets: str = TARGETS, dropout: float = 0.0) -> ModelConfig:
    return ModelConfig(
        backbone={},
        projector=ProjectorStart.FRESH,
        lora=LoraConfig(r=4, alpha=8, dropout=dropout, targets=targets),
        prompt=PromptForm.CHAT,
        compile=False,
        cache_features=True,
    )


def build_tiny(backbone: LlavaBackbone | None = None, **changes: object) -> Comparer:
    return build_comparer(
        backbone or tiny_backbone(), model_config(**changes), QUESTION, ANSWERS
    ).eval()


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
