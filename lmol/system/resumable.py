"""The contract of objects whose state a training saves and a later process restores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Resumable(Protocol):
    """An object whose state a training saves, so that a later process can continue it."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return nested mappings and lists of tensors and JSON values, with keys of text."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned; tensors are in host memory."""
