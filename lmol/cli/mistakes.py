"""Messages about the user's mistake, made from exceptions of Hydra, OmegaConf and the disk."""

from __future__ import annotations

import errno
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from lmol.config.keys import did_you_mean
from lmol.errors import LmolError, RunFolderError
from lmol.system.disk import disk_error

MISTAKES = (LmolError, HydraException, OmegaConfBaseException, YAMLError)

PLUGINS = ("joblib", "submitit_slurm", "submitit_local", "ray", "optuna")
"""Launchers and sweepers that come with an extra of this package."""


def mistake_of(error: Exception) -> LmolError | None:
    """Return the error to show to the user; None for a fault of the program."""
    if isinstance(error, LmolError):
        return error
    if isinstance(error, MISTAKES):
        return composition_mistake(error)
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return no_folder(error, "hydra.sweep.subdir")
    return disk_error(error, Path.cwd())


def no_folder(error: OSError, key: str) -> LmolError:
    """Return the error about a folder of results that cannot be made. key: its setting."""
    return RunFolderError(
        error.filename or key,
        got=f"a place where no folder can be made ({error.strerror})",
        expected="a folder that is new or empty",
        remedy=f"choose another with {key}=...",
    )


def composition_mistake(error: Exception) -> LmolError:
    """Return the message for a configuration that Hydra or OmegaConf cannot compose."""
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        return LmolError(
            error.full_key,
            got="an interpolation without a value",
            expected="one that has a value",
            remedy=str(error).splitlines()[0],
        )
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        if group.startswith("hydra/") and option in PLUGINS:
            return _no_plugin(group, option)
        return _no_option(group, option, list(error.options or []))
    return LmolError(
        "configuration",
        got=" ".join(str(error).split()),
        expected="files and overrides that Hydra can compose",
        remedy="python -m lmol.run --help lists groups and options; a sweep needs the flag -m",
    )


def _no_option(group: str, option: str, options: list[str]) -> LmolError:
    if not group:
        return LmolError(
            "--config-name",
            got=f"{option!r}",
            expected="a YAML file in the folder of --config-dir, or neither option",
            remedy="name it as --config-dir=FOLDER --config-name=NAME, without .yaml",
        )
    return LmolError(
        group,
        got=f"{option!r}",
        expected=f"one of {', '.join(options)}",
        remedy=did_you_mean(option, options),
    )


def _no_plugin(group: str, option: str) -> LmolError:
    extra = option.partition("_")[0]
    return LmolError(
        group,
        got=f"{option}, which is not installed",
        expected="the Hydra plugin that it comes with",
        remedy=f"pip install 'lmol[{extra}]'",
    )
