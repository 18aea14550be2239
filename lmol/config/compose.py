"""A configuration without a command line, for notebooks, programs of others and tests."""

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
from lmol.errors import ConfigError, LmolError


def load_config(*overrides: str, saved: Find | None = None) -> Config:
    """Return the checked configuration that the command line with these overrides would run.

    saved: finds the runs whose settings hold for a task that uses a finished run; None: the
    settings are those of a new run. Works inside a program that uses Hydra itself, and leaves that
    Hydra as it was. Raises ConfigError as the command would.
    """
    found = read_overrides(overrides)
    if found.problems:
        raise ConfigError([*found.problems, *_of_values(found.rewritten)])
    return _composed(found.rewritten, saved)


def hydra_arguments(arguments: Sequence[str]) -> list[str]:
    """The command line as Hydra is to read it.

    Raises ConfigError where a key is wrong, with what is wrong with the values of the others: those
    of right keys alone are checked by the job itself.
    """
    flags, found = read_arguments(arguments)
    if found.problems:
        raise ConfigError([*found.problems, *_of_values(found.rewritten)])
    return flags + found.rewritten


def _composed(overrides: Sequence[str], saved: Find | None = None) -> Config:
    with _hydra_of_others_aside(), initialize_config_module(CONF, version_base="1.3"):
        values = compose("config", list(overrides))
        return check(values if saved is None else with_saved(values, overrides, saved))


def _of_values(overrides: Sequence[str]) -> list[LmolError]:
    """Return the wrong values beside wrong keys; a missing value may be what a wrong key meant."""
    ours = [override for override in overrides if not override.startswith("hydra")]
    try:
        _composed(ours)
    except ConfigError as error:
        return [problem for problem in error.problems if problem.got not in ("???", "nothing")]
    except (
        HydraException,
        OmegaConfBaseException,
    ):  # a sweep, or a choice that needs the wrong key
        return []
    return []


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
