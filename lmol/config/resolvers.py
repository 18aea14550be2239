"""What YAML files and sweep folders may interpolate beside OmegaConf's own resolvers."""

from __future__ import annotations

import hashlib
import re

from omegaconf import OmegaConf

from lmol.config.groups import EXPERIMENTS, packaged_options

UNFIT = re.compile(r"[^\w.+-]+")


def slug(value: object) -> str:
    """A value as part of a folder name; two values never share one."""
    text = str(value)
    fit = UNFIT.sub("_", text)
    return fit if fit == text else f"{fit}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def added_groups() -> str:
    """The groups of experiments/ with their options, one a line, as they are written."""
    groups = sorted(packaged_options(EXPERIMENTS).items())
    return "\n".join(f"+{group}: {', '.join(sorted(options))}" for group, options in groups)


def register_resolvers() -> None:
    """Make both known to OmegaConf; a second call changes nothing."""
    OmegaConf.register_new_resolver("slug", slug, replace=True)
    OmegaConf.register_new_resolver("added_groups", added_groups, replace=True)
