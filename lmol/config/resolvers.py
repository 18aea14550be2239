"""What YAML files and sweep folders may interpolate beside OmegaConf's own resolvers."""

from __future__ import annotations

import hashlib
import os
import re

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from lmol.config.choices import ValidationMetric
from lmol.config.groups import EXPERIMENTS, packaged_options
from lmol.config.sweeping import task_overrides

UNFIT = re.compile(r"[^\w.+-]+")
LONGEST_SLUG = 60
"""Bytes: a folder of three swept values then has a name that every file system takes."""


def slug(value: object) -> str:
    """A value as part of a folder name; two values never share one."""
    text = str(value)
    fit = UNFIT.sub("_", text).encode()[:LONGEST_SLUG].decode(errors="ignore")
    return fit if fit == text else f"{fit}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def added_groups() -> str:
    """The groups of experiments/ with their options, one a line, as they are written."""
    groups = sorted(packaged_options(EXPERIMENTS).items())
    return "\n".join(f"+{group}: {', '.join(sorted(options))}" for group, options in groups)


def swept_params(*named: str) -> str:
    """What +sweep= varies, as part of a job's folder. named: keys that the name has already."""
    hydra = HydraConfig.get()
    parsed = OverridesParser.create().parse_overrides(task_overrides())
    values = {override.key_or_group: override.value() for override in parsed}
    keys = [str(key).lstrip("+") for key in hydra.sweeper.get("params") or {}]
    others = [key for key in keys if key not in ("fold.index", *named) and key in values]
    return "".join(f",{key.replace('/', '.')}={slug(values[key])}" for key in others)


def share_of_cores(processes: int) -> int:
    """Cores for each of so many processes at once, where -1 is as many as cores, as in joblib."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    at_once = processes if processes > 0 else max(cores + 1 + processes, 1)
    return max(cores // at_once, 1)


def direction_of(metric: str) -> str:
    """Which way a validation metric is better, in Optuna's words."""
    return "minimize" if metric == ValidationMetric.CROSS_ENTROPY.value else "maximize"


def register_resolvers() -> None:
    """Make all known to OmegaConf; a second call changes nothing."""
    for resolver in (slug, added_groups, swept_params, share_of_cores, direction_of):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)
