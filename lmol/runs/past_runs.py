"""Earlier runs: find them by name, or the latest one, and read them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lmol.config.paths import read_path
from lmol.config.task_kinds import TRAIN
from lmol.errors import RunFolderError
from lmol.runs.formats import KEY, require_format
from lmol.runs.run_folder import DONE, MANIFEST
from lmol.runs.sweep_folder import SweepRecord
from lmol.runs.sweep_jobs import sweep_jobs
from lmol.system.files import UNREADABLE, is_inside, own_file, require_mapping

log = logging.getLogger(__name__)

OUTPUTS = Path("outputs")


@dataclass(frozen=True, kw_only=True)
class PastRun:
    """A run folder, absolute, with the content of its manifest."""

    path: Path
    manifest: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> PastRun:
        """Read a run folder; raise RunFolderError if the folder is no run's."""
        try:
            text = own_file(path, MANIFEST).read_text(encoding="utf-8")
            manifest = require_mapping(json.loads(text))
        except UNREADABLE as error:
            raise _no_run(path, f"no readable {MANIFEST} ({error})") from error
        return cls(path=path.absolute(), manifest=manifest)

    @property
    def fold(self) -> int:
        """Return the held-out fold. Raises RunFolderError if the manifest lacks it."""
        fold = self.manifest.get("fold")
        if not isinstance(fold, int):
            raise _no_run(self.path, f"fold {fold!r} in {MANIFEST}")
        return fold

    def config(self) -> dict[str, Any]:
        """Return the values of the run. Raises RunFolderError if they cannot be read."""
        file = self.path / "config.yaml"
        try:
            text = own_file(self.path, "config.yaml").read_text(encoding="utf-8")
            values = require_mapping(yaml.safe_load(text))
        except UNREADABLE as error:
            raise _no_run(self.path, f"no readable config.yaml ({error})") from error
        require_format(file, values)
        return {key: value for key, value in values.items() if key != KEY}

    def checkpoint(self, kind: str) -> Path:
        """Return the folder of its checkpoint best or last; raise RunFolderError if it has none."""
        folder = self.path / "checkpoints" / kind
        if not folder.is_dir():
            raise _no_run(self.path, f"no checkpoint {kind} (status {self.manifest.get('status')})")
        if not is_inside(folder, self.path):
            raise _no_run(self.path, f"a checkpoint {kind} that is a link to {folder.resolve()}")
        return folder


def find_runs(run: str | None, fold: int | None) -> list[PastRun]:
    """Return the run, or all folds of the sweep, in the order of the folds.

    run: a run folder or a sweep's; None: the latest finished run below outputs/. fold: the fold to
    take. Raises RunFolderError if there is no such run, or it held out another fold.
    """
    if run is None:
        found = [_latest()]
    else:
        path = Path(read_path("run", run))
        found = [_named(path)] if (path / MANIFEST).is_file() else _of_sweep(path)
    chosen = [past for past in found if fold is None or past.fold == fold]
    if not chosen:
        raise _other_fold(found, fold)
    return chosen


def saved_runs(run: str | None, fold: int | None) -> list[tuple[Path, dict[str, Any], Path]]:
    """Return folder, values and working directory of the command for each run of find_runs."""
    found = find_runs(run, fold)
    return [(past.path, past.config(), Path(str(past.manifest.get("cwd", ".")))) for past in found]


def one_run(run: str | None) -> PastRun:
    """Return the run of find_runs; raise RunFolderError if a sweep has several folds."""
    found = find_runs(run, None)
    if len(found) > 1:
        raise RunFolderError(
            "run",
            got=f"a sweep of {len(found)} folds",
            expected="one run",
            remedy="choose a fold with fold=1, or name its folder",
        )
    return found[0]


def _latest() -> PastRun:
    finished = [past for past in readable_runs() if _finished(past)]
    if not finished:
        raise RunFolderError(
            "run",
            got=f"no finished run below {OUTPUTS.absolute()}",
            expected="a finished training run",
            remedy="train one with python -m lmol.run, or name a folder with run=...",
        )
    return max(finished, key=lambda past: str(past.manifest.get("end")))


def readable_runs() -> Iterator[PastRun]:
    """Yield the runs below outputs/ that can be read, not those that are damaged or just begin."""
    for path in [path for depth in (2, 3) for path in OUTPUTS.glob("*/" * depth + MANIFEST)]:
        with suppress(RunFolderError):
            yield PastRun.read(path.parent)


def _named(path: Path) -> PastRun:
    """Return a run that the user named; it may have been stopped after writing a checkpoint."""
    past = PastRun.read(path)
    task, status = past.manifest.get("task"), past.manifest.get("status")
    if task != TRAIN:
        raise RunFolderError(
            path,
            got=f"the folder of task={task}",
            expected="the folder of a training run",
            remedy=f"name the run that it used: run={past.manifest.get('run')}",
        )
    if status != DONE:
        log.warning("%s did not finish (status %s); its checkpoints are used", path, status)
    return past


def _finished(past: PastRun) -> bool:
    return past.manifest.get("task") == TRAIN and past.manifest.get("status") == DONE


def _of_sweep(folder: Path) -> list[PastRun]:
    """Return all jobs of a sweep; raise RunFolderError if one is unfinished or two share a fold."""
    read = [PastRun.read(manifest.parent) for manifest in folder.glob("*/" + MANIFEST)]
    jobs = sorted(read, key=lambda past: past.fold)
    if not jobs:
        raise _no_run(folder, "no run in it")
    unfinished = [past.path.name for past in jobs if not _finished(past)]
    record = SweepRecord.read(folder)
    wanted = sweep_jobs(folder, record) if record else []
    unfinished += [f"fold {job.fold}" for job in wanted if job.folder is None]
    if unfinished:
        raise _no_run(folder, f"a sweep in which {', '.join(unfinished)} did not finish")
    folds = [past.fold for past in jobs]
    if len(set(folds)) < len(folds):
        raise _no_run(folder, "a sweep over more than folds")
    return jobs


def _no_run(path: Path, got: str) -> RunFolderError:
    return RunFolderError(
        path,
        got=got,
        expected="the folder of a trained run, or of a sweep over folds",
        remedy="name one with run=outputs/..., or leave run out to take the latest finished one",
    )


def _other_fold(found: list[PastRun], fold: int | None) -> RunFolderError:
    held_out = ", ".join(str(past.fold) for past in found)
    return RunFolderError(
        "fold",
        got=f"{fold}, of a run that held out {held_out}",
        expected="the held-out fold: the images of all others were trained on",
        remedy="leave fold out, or name the run that held it out",
    )
