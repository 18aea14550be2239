"""LMOL: a vision-language model says which of two images is better; that makes a ranking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmol.inference.loading import load_comparer as load_comparer

__version__ = "0.1.0"
__all__ = ["__version__", "load_comparer"]


def __getattr__(name: str) -> Any:
    """`from lmol import load_comparer` without torch for those who only want the command line."""
    if name == "load_comparer":
        from lmol.inference.loading import load_comparer

        return load_comparer
    raise AttributeError(f"module 'lmol' has no attribute {name!r}")
