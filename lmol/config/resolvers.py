"""Resolvers for YAML files and sweep folders, beside OmegaConf's own."""

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
"""Bytes; the folder name of three swept values then fits every file system."""


def slug(value: object) -> str:
    """Return a value as part of a folder name; two values never share one."""
    text = str(value)
    fit = UNFIT.sub("_", text).encode()[:LONGEST_SLUG].decode(errors="ignore")
    return fit if fit == text else f"{fit}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def added_groups() -> str:
    """Return the groups of experiments/ with their options, one a line, as a user writes them."""
    groups = sorted(packaged_options(EXPERIMENTS).items())
    return "\n".join(f"+{group}: {', '.join(sorted(options))}" for group, options in groups)


def swept_params(*named: str) -> str:
    """Return what +sweep= varies, for a job's folder name. named: keys already in that name."""
    hydra = HydraConfig.get()
    parsed = OverridesParser.create().parse_overrides(task_overrides())
    values = {override.key_or_group: override.value() for override in parsed}
    keys = [str(key).lstrip("+") for key in hydra.sweeper.get("params") or {}]
    others = [key for key in keys if key not in ("fold.index", *named) and key in values]
    return "".join(f",{key.replace('/', '.')}={slug(values[key])}" for key in others)


def share_of_cores(processes: int) -> int:
    """Return the cores for each of `processes` at once; -1 means one a core, as in joblib."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    at_once = processes if processes > 0 else max(cores + 1 + processes, 1)
    return max(cores // at_once, 1)


def direction_of(metric: str) -> str:
    """Return the direction in which a validation metric improves, in Optuna's words."""
    return "minimize" if metric == ValidationMetric.CROSS_ENTROPY.value else "maximize"


def register_resolvers() -> None:
    """Register all resolvers with OmegaConf; a second call changes nothing."""
    for resolver in (slug, added_groups, swept_params, share_of_cores, direction_of):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)
