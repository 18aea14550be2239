"""The configuration of a task that uses a finished run: the settings of that run.

A model is evaluated as it was trained; only settings of the evaluation, of places and of the
display may be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lmol.config.literal import literal
from lmol.config.paths import MACHINE
from lmol.config.signature import without
from lmol.config.sweeping import FOLD
from lmol.config.task_kinds import TRAIN
from lmol.errors import ConfigError, LmolError, RunFolderError
from lmol.system.files import UNREADABLE

HERE = (
    "debug", "fail_fast", "threads", "tracking", "data.outside", "model.backbone.attention",
    *MACHINE,
)  # fmt: skip
"""Settings that depend on the machine, and not on the model."""

USED = ("run", "checkpoint", "images")
"""Settings that choose the run to use, and the images."""

ALWAYS = ("task", "run", "checkpoint", *HERE)
JUDGING = ("eval.batch_pairs", "eval.memory_gb")
FREE = {
    "evaluate": (*ALWAYS, "eval"),
    "rank": (*ALWAYS, "images", "ranking", *JUDGING),
    "compare": (*ALWAYS, "images"),
    "export": (*ALWAYS, "export"),
}
"""Settings that each task may change. The fold is not here: it chooses among a sweep's runs."""

REPORT = "report"
REPORTING = ("task", "runs", REPORT, "debug", "threads", "tracking")
"""Settings of task=report, which shows the configurations of finished runs side by side."""

OWN = ("tracking.mode", "data.outside")
"""Settings taken from the command that uses a run, not from the run."""

PLACES = ("images", "runs", "export.folder", "report.page")
"""Settings about other places than those of the data, which only the command decides."""

GROWING = ("eval", "ranking", "export", "report", "train", "audit", "tracking")
"""Groups to which a later version may have added settings; the run's own values replace these."""

SavedRun = tuple[Path, Mapping[str, Any], Path]
"""A run's folder, the values that it ran with, and the working directory of its command."""

Find = Callable[["str | None", "int | None"], Sequence[SavedRun]]


def with_saved(values: DictConfig, overrides: Sequence[str], find: Find) -> DictConfig:
    """Return the values of the run that a task uses, with the overrides that the task allows.

    values: as composed; returned unchanged if the task uses no run. find: returns the runs of a
    name (None: the latest) and fold. Raises ConfigError for overrides that a finished run does not
    take.
    """
    task, overridden = OmegaConf.select(values, "task.name"), _keys(overrides)
    if task not in FREE:
        _refuse_unused(overridden, task)
        return values
    _refuse(overridden, task, (FOLD, *FREE[task]))
    fold = OmegaConf.select(values, FOLD) if FOLD in overridden else None
    found = find(OmegaConf.select(values, "run"), fold)
    _refuse_mixed(found)
    path, saved, cwd = found[0]
    with _of_run(path):
        merged = _over(values, _located(saved, cwd), [key for key in overridden if key != FOLD])
    for key in PLACES:
        OmegaConf.update(merged, key, OmegaConf.select(values, key), merge=False, force_add=True)
    merged.task = values.task
    merged.run = literal(str(path if len(found) == 1 else path.parent))
    return merged


def with_resumed(values: DictConfig, overrides: Sequence[str], past: SavedRun) -> DictConfig:
    """Return the values of the unfinished run that task=train continues, with the overrides.

    Overrides that change a result are refused later, where the run's signature is compared.
    """
    task, overridden = OmegaConf.select(values, "task.name"), _keys(overrides)
    if task != TRAIN:
        _refuse_keys(
            ["resume"],
            got=f"a run to continue, for task={task}",
            expected="resume only with task=train",
            remedy="leave it out",
        )
    path, saved, cwd = past
    with _of_run(path):
        merged = _over(values, _located(saved, cwd), overridden)
        if not any(_within(key, ("tracking",)) for key in overridden):
            merged.tracking = literal(saved["tracking"])
    merged.resume = literal(str(path))
    return merged


def _keys(overrides: Sequence[str]) -> list[str]:
    """Return the keys and groups that overrides set."""
    parser = OverridesParser.create()
    given = [parser.parse_override(text) for text in overrides]
    return [override.key_or_group.replace("/", ".") for override in given]


def _refuse_unused(overridden: Sequence[str], task: object) -> None:
    """Refuse overrides that only tasks with finished runs take, if this task is another one."""
    if task == REPORT:
        _refuse(overridden, REPORT, REPORTING)
        return
    _refuse_keys(
        [key for key in overridden if _within(key, ("runs", REPORT))],
        got=f"a value for task={task}, which makes no report",
        expected=f"{REPORT}.* and runs only with task={REPORT}",
        remedy=f"add task={REPORT}, or leave it out",
    )
    _refuse_keys(
        [key for key in overridden if key in USED],
        got=f"a value for task={task}, which uses no finished run",
        expected=f"this setting only with {', '.join(f'task={name}' for name in FREE)}",
        remedy="choose one of these tasks, or leave it out",
    )


def _refuse(overridden: Sequence[str], task: str, free: Sequence[str]) -> None:
    _refuse_keys(
        [key for key in overridden if not _within(key, free)],
        got=f"a value for task={task}, which takes it from the finished run, or does not use it",
        expected=f"only {', '.join(f for f in free if f != FOLD)}",
        remedy="leave it out, or train with it",
    )


def _within(key: str, groups: Sequence[str]) -> bool:
    return any(f"{key}.".startswith(f"{group}.") for group in groups)


def _refuse_keys(keys: Sequence[str], *, got: str, expected: str, remedy: str) -> None:
    if keys:
        raise ConfigError(
            [LmolError(key, got=got, expected=expected, remedy=remedy) for key in keys]
        )


def _refuse_mixed(found: Sequence[SavedRun]) -> None:
    """Raise LmolError if the folds of a sweep are of different recipes."""
    without_fold = [without(saved, [FOLD]) for _, saved, _ in found]
    for (path, _, _), saved in zip(found, without_fold, strict=True):
        if saved != without_fold[0]:
            raise LmolError(
                path,
                got=f"other settings than {found[0][0].name} has",
                expected="folds of one recipe, which differ only in the fold",
                remedy="choose one with fold=1, or name the folder of one run",
            )


@contextmanager
def _of_run(path: Path) -> Iterator[None]:
    """Raise RunFolderError if the block cannot use the values that a run has stored."""
    try:
        yield
    except (OmegaConfBaseException, *UNREADABLE) as error:
        raise RunFolderError(
            path / "config.yaml",
            got=f"settings that cannot be used ({str(error).splitlines()[0]})",
            expected="the settings that the run began with",
            remedy="restore the file, or name another run",
        ) from error


def _located(saved: Mapping[str, Any], cwd: Path) -> DictConfig:
    """Return the saved values, with relative paths read from the run's working directory.

    They were resolved when the run began: an interpolation in them is a text, and is not resolved.
    """
    values = OmegaConf.create(literal(dict(saved)))
    for key in MACHINE:
        value = OmegaConf.select(values, key)
        if isinstance(value, str) and (cwd / value).exists():
            OmegaConf.update(values, key, literal(str(cwd / value)))
    return values


def _over(values: DictConfig, saved: DictConfig, overridden: Sequence[str]) -> DictConfig:
    """Return saved values with the overrides set, and with settings that later versions added."""
    composed = OmegaConf.create(OmegaConf.to_container(values))
    assert isinstance(composed, DictConfig)
    merged = OmegaConf.create({**_as_written(composed), **_as_written(saved)})
    for group in set(GROWING) & set(saved):
        merged[group] = OmegaConf.merge(composed[group], saved[group])
    for key in OWN:
        OmegaConf.update(merged, key, OmegaConf.select(values, key), force_add=True)
    for key in overridden:
        old, new = OmegaConf.select(saved, key), OmegaConf.select(values, key)
        for place in {key, *_same_path(saved, key, old)}:
            OmegaConf.update(merged, place, new, merge=False, force_add=True)
    return merged


def _as_written(values: DictConfig) -> dict[Any, Any]:
    """Return the values with their interpolations and literal signs as they are."""
    plain = OmegaConf.to_container(values)
    assert isinstance(plain, dict)
    return plain


def _same_path(saved: DictConfig, key: str, old: object) -> Iterator[str]:
    """Yield path settings with the value of `key`: saved values keep no interpolations of it."""
    if key in MACHINE:
        yield from (path for path in MACHINE if OmegaConf.select(saved, path) == old)
