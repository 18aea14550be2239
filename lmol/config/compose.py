"""A configuration without a command line, for notebooks, programs of others and tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.version import VersionBase

from lmol.config.check import check
from lmol.config.groups import CONF
from lmol.config.overrides import rewrite_overrides
from lmol.config.schema import Config


def load_config(*overrides: str) -> Config:
    """The checked configuration that the command line with these overrides would run.

    Works inside a program that uses Hydra itself, and leaves that Hydra as it was. Raises
    ConfigError as the command would.
    """
    with _hydra_of_others_aside(), initialize_config_module(CONF, version_base="1.3"):
        return check(compose("config", rewrite_overrides(overrides)))


@contextmanager
def _hydra_of_others_aside() -> Iterator[None]:
    """Take the host's Hydra and its version base away while the block runs, then put them back."""
    hydra, base = GlobalHydra.instance().hydra, VersionBase.instance().version_base
    GlobalHydra.instance().hydra = None
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = hydra
        VersionBase.instance().version_base = base
