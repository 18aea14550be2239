"""Work that is the same for hundreds of commands, done once in this process.

Hydra composes the configuration of a command twice: first to read hydra.mode, then for the job.
Only results that cannot depend on the command are remembered; they are those of the real parts.
"""

import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from PIL.Image import Image

from lmol.data.sources import synthetic
from lmol.data.sources.faces import Face, draw_face

VALUE = re.compile(r"\+\+|hydra\.(?!mode|searchpath)")
"""An override of a value, which adds no file to the configuration and leaves hydra.mode as it is.

Our command line writes all but hydra's own with this prefix.
"""

STOCK_MODE = Hydra.get_mode

Mode = Callable[[Any, str | None, list[str]], Any]


def mode_where_one_is_set(stock: Mode) -> Mode:
    """Return a get_mode that composes only once for options of groups that set no hydra.mode."""
    known: dict[tuple[object, ...], Any] = {}

    def get_mode(hydra: Any, config_name: str | None, overrides: list[str]) -> Any:
        chosen = [override for override in overrides if not VALUE.match(override)]
        places = [place.path for place in hydra.config_loader.get_search_path().get_path()]
        if own_files(chosen, places):
            return stock(hydra, config_name, overrides)
        key = (config_name, *places, *chosen)
        if key not in known:
            known[key] = stock(hydra, config_name, chosen)
        return None if known[key] is None else stock(hydra, config_name, overrides)

    return get_mode


def own_files(overrides: Sequence[str], places: Sequence[str]) -> bool:
    """Return whether the configuration is built from files that a test may have written."""
    searched = any("hydra.searchpath" in override for override in overrides)
    return searched or not all(place.startswith(("pkg://", "structured://")) for place in places)


def packaged_files_read_once(stock: Callable[..., Any]) -> Callable[..., Any]:
    """Return a load_config that parses each file of a package once, and returns copies."""
    known: dict[tuple[str, str, str], Any] = {}

    def load_config(source: Any, config_path: str) -> Any:
        key = (source.provider, source.path, config_path)
        if key not in known:
            known[key] = stock(source, config_path)
        return deepcopy(known[key])

    return load_config


def faces_drawn_once(stock: Callable[[Face, int], Image]) -> Callable[[Face, int], Image]:
    """Return a draw_face that draws each face once; the pictures are only saved."""
    known: dict[tuple[object, ...], Image] = {}

    def draw_once(face: Face, size: int) -> Image:
        key = (size, *face.items())
        if key not in known:
            known[key] = stock(face, size)
        return known[key]

    return draw_once


def remember(patch: pytest.MonkeyPatch) -> None:
    Plugins.instance()  # registers the sources of files
    packaged = SourcesRegistry.instance().resolve("pkg")
    patch.setattr(Hydra, "get_mode", mode_where_one_is_set(STOCK_MODE))
    patch.setattr(packaged, "load_config", packaged_files_read_once(packaged.load_config))
    patch.setattr(synthetic, "draw_face", faces_drawn_once(draw_face))
