"""What Hydra or OmegaConf could not compose, told as a mistake of the user's."""

from __future__ import annotations

from hydra.errors import MissingConfigException

from lmol.config.keys import did_you_mean
from lmol.errors import LmolError

PLUGINS = ("joblib", "submitit_slurm", "submitit_local", "ray", "optuna")
"""Launchers and sweepers that come with an extra of this package."""


def composition_mistake(error: Exception) -> LmolError:
    """What Hydra or OmegaConf could not compose, as an error of ours."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        if group.startswith("hydra/") and option in PLUGINS:
            return _no_plugin(group, option)
        return LmolError(
            group or "configuration",
            got=f"{option!r}",
            expected=f"one of {', '.join(error.options or [])}",
            remedy=did_you_mean(option, error.options or []),
        )
    return LmolError(
        "configuration",
        got=" ".join(str(error).split()),
        expected="files and overrides that Hydra can compose",
        remedy="python -m lmol.run --help lists groups and options; a sweep needs the flag -m",
    )


def _no_plugin(group: str, option: str) -> LmolError:
    extra = option.partition("_")[0]
    return LmolError(
        group,
        got=f"{option}, which is not installed",
        expected="the Hydra plugin that it comes with",
        remedy=f"pip install 'lmol[{extra}]'",
    )
