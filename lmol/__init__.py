"""LMOL: a vision-language model says which of two images is better; that makes a ranking."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmol.config import load_config as load_config
    from lmol.inference.loading import load_comparer as load_comparer
    from lmol.workflow.notebook import evaluate as evaluate
    from lmol.workflow.notebook import train as train

__version__ = "0.1.0"

LAZY = {
    "evaluate": "lmol.workflow.notebook",
    "load_comparer": "lmol.inference.loading",
    "load_config": "lmol.config",
    "train": "lmol.workflow.notebook",
}
"""Public functions and their modules, which import torch: the command line begins without it."""

__all__ = ["__version__", "evaluate", "load_comparer", "load_config", "train"]


def __getattr__(name: str) -> Any:
    if name in LAZY:
        return getattr(import_module(LAZY[name]), name)
    raise AttributeError(f"module 'lmol' has no attribute {name!r}")
