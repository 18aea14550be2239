"""A configuration without a command line, for notebooks and tests."""

from __future__ import annotations

from hydra import compose, initialize_config_module

from lmol.config.check import check
from lmol.config.overrides import rewrite_overrides
from lmol.config.schema import Config


def load_config(*overrides: str) -> Config:
    """The checked configuration that the command line with these overrides would run.

    Raises ConfigError as the command would.
    """
    with initialize_config_module("lmol.conf", version_base="1.3"):
        return check(compose("config", rewrite_overrides(overrides)))
