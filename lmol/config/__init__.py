"""The typed, checked configuration, read from YAML files and the command line."""

from __future__ import annotations

from lmol.config.check import check
from lmol.config.compose import load_config
from lmol.config.resolvers import register_resolvers
from lmol.config.schema import Config
from lmol.config.signature import as_dict, signature
from lmol.config.targets import instantiate

register_resolvers()

__all__ = ["Config", "as_dict", "check", "instantiate", "load_config", "signature"]
