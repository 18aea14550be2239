"""Configurations without a command line, for notebooks, programs of others and tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.version import VersionBase
from omegaconf.errors import OmegaConfBaseException

from lmol.config.check import check
from lmol.config.groups import CONF
from lmol.config.overrides import read_arguments, read_overrides
from lmol.config.saved import Find, with_saved
from lmol.config.schema import Config
from lmol.config.uncomposable import composition_mistake
from lmol.errors import ConfigError, LmolError


def load_config(*overrides: str, saved: Find | None = None) -> Config:
    """Return the checked configuration that the command line with these overrides would run.

    saved: finds the finished runs whose settings a task uses; None: the settings are those of a
    new run. Works inside a program that uses Hydra itself, and leaves that Hydra as it was. Raises
    the same mistakes as the command, wrong settings as a ConfigError.
    """
    found = read_overrides(overrides)
    if found.problems:
        raise ConfigError([*found.problems, *_of_values(found.rewritten)])
    try:
        return _composed(found.rewritten, saved)
    except (HydraException, OmegaConfBaseException) as error:
        raise composition_mistake(error) from error


def hydra_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the command line in the form that Hydra reads.

    Raises ConfigError if a key is wrong; it also lists the wrong values of the other keys. If all
    keys are right, the job itself checks the values.
    """
    flags, found = read_arguments(arguments)
    if found.problems:
        raise ConfigError([*found.problems, *_of_values(found.rewritten)])
    return flags + found.rewritten


def _composed(
    overrides: Sequence[str], saved: Find | None = None, *, quick: bool = False
) -> Config:
    with _hydra_of_others_aside(), initialize_config_module(CONF, version_base="1.3"):
        values = compose("config", list(overrides))
        return check(with_saved(values, overrides, saved) if saved else values, quick=quick)


def _of_values(overrides: Sequence[str]) -> list[LmolError]:
    """Return the wrong values of the right keys; a wrong key may have meant a missing value."""
    ours = [override for override in overrides if not override.startswith("hydra")]
    try:
        _composed(ours, quick=True)
    except ConfigError as error:
        return [problem for problem in error.problems if problem.got not in ("???", "nothing")]
    except (HydraException, OmegaConfBaseException):
        pass  # a sweep, or a choice that needs the wrong key
    return []


@contextmanager
def _hydra_of_others_aside() -> Iterator[None]:
    """Set the host's Hydra and its version base aside while the block runs, then restore them."""
    hydra, base = GlobalHydra.instance().hydra, VersionBase.instance().version_base
    GlobalHydra.instance().hydra = None
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = hydra
        VersionBase.instance().version_base = base
