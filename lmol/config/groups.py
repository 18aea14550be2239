"""The config groups and their options: conf/, experiments/, and folders that the user adds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

CONF, EXPERIMENTS = "lmol.conf", "lmol.experiments"


class _Experiments(SearchPathPlugin):
    """Plugin that makes Hydra find the groups of experiments/ wherever it searches our conf/."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        if any(place.path == f"pkg://{CONF}" for place in search_path.get_path()):
            search_path.append("lmol", f"pkg://{EXPERIMENTS}")


def add_experiments() -> None:
    """Make Hydra search experiments/ for our commands; in other programs it stays invisible."""
    Plugins.instance().register(_Experiments)


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Options by group; `added` names the groups outside the default composition."""

    options: dict[str, set[str]]
    added: frozenset[str]


def find_groups(searchpath: Iterable[str]) -> Groups:
    """Return all groups. searchpath: further places, each pkg://..., file://... or a folder."""
    composed, added = packaged_options(CONF), packaged_options(EXPERIMENTS)
    for place in searchpath:
        for group, options in _options(_folder(place)).items():
            (composed if group in composed else added).setdefault(group, set()).update(options)
    return Groups(options=composed | added, added=frozenset(added))


def packaged_options(package: str) -> dict[str, set[str]]:
    """Return the groups of conf/ or experiments/. package: the name under which it is installed."""
    return _options(files(package))


def _folder(place: str) -> Traversable:
    if place.startswith("pkg://"):
        return files(place.removeprefix("pkg://"))
    return Path(place.removeprefix("file://"))


def _options(root: Traversable) -> dict[str, set[str]]:
    """Return group names, such as data or data/schedule, with the YAML file names in each."""
    found: dict[str, set[str]] = {}
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.is_dir():
            names = {
                file.name.removesuffix(".yaml")
                for file in folder.iterdir()
                if file.name.endswith(".yaml")
            }
            found |= {folder.name: names} if names else {}
            found |= {f"{folder.name}/{group}": o for group, o in _options(folder).items()}
    return found
