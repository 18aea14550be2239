"""The message about a configuration that Hydra or OmegaConf cannot compose."""

from __future__ import annotations

from hydra.errors import MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from lmol.config.keys import did_you_mean
from lmol.errors import LmolError

PLUGINS = ("joblib", "submitit_slurm", "submitit_local", "ray", "optuna")
"""Launchers and sweepers that come with an extra of this package."""


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
