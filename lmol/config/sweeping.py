"""A sweep as the command line asks for it: its swept keys, its jobs, and their common values.

A cell holds one job's values of the swept keys, as plain values by key or group, with its fold.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import compose
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from lmol.config.signature import without
from lmol.errors import LmolError

FOLD = "fold.index"
EVERY_VALUE = "BasicSweeper"
"""The sweeper that runs all combinations, so that the jobs are known beforehand."""

Cell = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """A multirun before its jobs. path: of the sweep's folder, absolute.

    keys: swept keys and groups, without the fold; wanted: a cell a job, empty if the sweeper
    chooses values during the sweep; base: the values that all jobs share, without the keys.
    """

    path: Path
    task: str
    name: str
    keys: list[str]
    wanted: list[Cell]
    base: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class JobPlace:
    """The folder of a job.

    sweep: the folder of its multirun, None outside of one. values: the job's configuration as
    Hydra composed it. hydras: names of the files and folders that Hydra itself writes into the
    job's folder.
    """

    path: Path
    sweep: Path | None
    values: DictConfig = field(default_factory=lambda: DictConfig({}))
    hydras: frozenset[str] = frozenset()

    def is_used(self) -> bool:
        """Return whether the folder holds files other than Hydra's own."""
        return self.path.is_dir() and any(f.name not in self.hydras for f in self.path.iterdir())


def sweep_plan(config: DictConfig) -> SweepPlan:
    """Return the plan of a multirun. config: from on_multirun_start, without the swept values.

    Raises LmolError if no job would run.
    """
    given = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    parsed = _parsed([*given, *task_overrides(config.hydra)])
    last = {override.get_key_element(): override for override in parsed}
    swept = [o.key_or_group for o in last.values() if o.is_sweep_override()]
    keys = sorted({*swept} - {FOLD})
    fold = OmegaConf.select(config, FOLD)
    return SweepPlan(
        path=Path(config.hydra.sweep.dir).absolute(),
        task=str(OmegaConf.select(config, "task.name")),
        name=str(OmegaConf.select(config, "name")),
        keys=keys,
        wanted=_wanted(parsed, keys, fold) if _runs_all(config) else [],
        base=base_values(config, keys),
    )


def _runs_all(config: DictConfig) -> bool:
    return str(config.hydra.sweeper["_target_"]).endswith(EVERY_VALUE)


def _wanted(overrides: list[Override], keys: list[str], fold: object) -> list[Cell]:
    [jobs] = BasicSweeper.split_arguments(overrides, None)
    if not jobs:
        raise LmolError(
            "sweep",
            got="a sweep of no job",
            expected="at least one value of every swept key",
            remedy="write the values out, or a pattern that some option fits",
        )
    return [{FOLD: fold} | _cell(_parsed(job), [FOLD, *keys]) for job in jobs]


def job_place(values: DictConfig) -> JobPlace:
    """Return the folder of the running job. values: its configuration."""
    hydra = HydraConfig.get()
    multirun = hydra.mode is RunMode.MULTIRUN
    sweep = Path(hydra.sweep.dir).absolute() if multirun else None
    path = Path(hydra.runtime.output_dir)
    hydras = frozenset(_written_by_hydra(hydra, path))
    return JobPlace(path=path, sweep=sweep, values=values, hydras=hydras)


def _written_by_hydra(hydra: Any, folder: Path) -> Iterator[str]:
    """Yield Hydra's folder of configurations (hydra.output_subdir) and its log files."""
    yield from Path(hydra.output_subdir or "").parts[:1]
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            file = Path(handler.baseFilename)
            yield from file.relative_to(folder).parts[:1] if file.is_relative_to(folder) else ()


def task_overrides(hydra: Any = None) -> list[str]:
    """Return the overrides as they are written, with their interpolations.

    hydra: Hydra's own configuration; None: that of the running job.
    """
    overrides = (hydra or HydraConfig.get()).overrides.task
    written = OmegaConf.to_container(overrides, resolve=False)
    assert isinstance(written, list)
    return written


def job_values() -> dict[str, Any]:
    """Return the overrides of the running job, as plain values by key or group."""
    overrides = _parsed(task_overrides())
    return _cell(overrides, [override.key_or_group for override in overrides])


def job_cell(keys: Iterable[str]) -> Cell:
    """Return the running job's values of the swept keys, without its fold."""
    return _cell(_parsed(task_overrides()), keys)


def job_base(values: DictConfig, keys: Sequence[str]) -> dict[str, Any]:
    """Return what the running job shares with its sweep. values: its configuration.

    A swept group changes other values too, so its job is composed again without it.
    """
    if all("." in key for key in keys):
        return base_values(values, keys)
    hydra = HydraConfig.get()
    kept = [o.input_line for o in _parsed(task_overrides()) if o.key_or_group not in keys]
    lines = [line for line in kept if line is not None]
    return base_values(compose(hydra.job.config_name, [*hydra.overrides.hydra, *lines]), keys)


def base_values(values: DictConfig, keys: Iterable[str]) -> dict[str, Any]:
    """Return values without fold, swept keys and Hydra's own; interpolations stay as written."""
    plain: Any = OmegaConf.to_container(values, resolve=False)
    return without(plain, ["hydra", FOLD, *(key.replace("/", ".") for key in keys)])


def _parsed(overrides: Iterable[str]) -> list[Override]:
    loader = GlobalHydra.instance().config_loader()
    return OverridesParser.create(loader).parse_overrides(list(overrides))


def _cell(overrides: Iterable[Override], keys: Iterable[str]) -> Cell:
    values = {override.key_or_group: override.value() for override in overrides}
    return {key: _plain(values[key]) for key in keys if key in values}


def _plain(value: Any) -> Any:
    """Return a value as a type of YAML and JSON."""
    return value if isinstance(value, int | float | str | list | dict | None) else str(value)
