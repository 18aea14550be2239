"""Run folders for a report: found by name, and possibly incomplete or damaged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import glob
from pathlib import Path
from typing import Any

import pandas as pd

from lmol.config.schema import RunStatus
from lmol.config.signature import flat
from lmol.config.sweeping import FOLD
from lmol.config.task_kinds import TRAIN
from lmol.errors import ConfigError, LmolError, RunFolderError
from lmol.runs.formats import KEY
from lmol.runs.run_folder import DONE, FAILED, INTERRUPTED, MANIFEST
from lmol.runs.sweep_folder import SWEEP
from lmol.system.files import own_file, read_mapping

TRACES = (MANIFEST, "config.yaml", "run.log")
"""First files of a run: a folder with any of them is a run folder, even if killed early."""

RAW_TEXT = {"keep_default_na": False, "na_values": [""]}
"""Options of read_csv that keep NA as text: it may name a group or an image."""


@dataclass(frozen=True, kw_only=True)
class ReportedRun:
    """A run folder with absolute path. sweep: folder of the sweep in which it was found.

    manifest and config are empty if they cannot be read; `problem` then says so.
    """

    path: Path
    sweep: Path | None
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path, sweep: Path | None = None) -> ReportedRun:
        """Read a run folder; missing or damaged files stay empty."""
        return cls(
            path=path.absolute(),
            sweep=sweep.absolute() if sweep else None,
            manifest=read_mapping(path / MANIFEST),
            config={k: v for k, v in read_mapping(path / "config.yaml").items() if k != KEY},
            metrics=read_mapping(path / "metrics.json"),
        )

    @property
    def name(self) -> str:
        """Return the recipe's name; ? if the run was killed before it wrote one."""
        return str(self.manifest.get("name") or self.config.get("name") or "?")

    @property
    def task(self) -> str | None:
        return self.manifest.get("task")

    @property
    def swept(self) -> dict[str, Any]:
        """Return the settings that the sweep gave this run, by key, without the fold."""
        found = self.manifest.get("swept")
        return found if isinstance(found, dict) else {}

    @property
    def fold(self) -> int | None:
        """Return the held-out fold; None if it is unknown."""
        fold = self.manifest.get("fold", (self.config.get("fold") or {}).get("index"))
        return fold if isinstance(fold, int) else None

    @property
    def status(self) -> RunStatus:
        """Return the status; a run recorded as running is unfinished: in progress, or killed."""
        status = str(self.manifest.get("status"))
        if status.startswith(FAILED):
            return RunStatus.FAILED
        if status == INTERRUPTED:
            return RunStatus.INTERRUPTED
        whole = status == DONE and bool(self.config)
        return RunStatus.DONE if whole and self._results_whole() else RunStatus.UNFINISHED

    @property
    def problem(self) -> str | None:
        """Return the reason why the run is not averaged; None if it is."""
        if not self.manifest:
            return f"no readable {MANIFEST}: the run has just started, or was killed at its start"
        if self.status is RunStatus.FAILED:
            return str(self.manifest.get("error") or "failed").splitlines()[0]
        if self.status is RunStatus.INTERRUPTED:
            return f"{self.manifest.get('error')}; resume={self.path} continues it"
        if self.status is RunStatus.DONE:
            return None
        if self.manifest.get("status") == DONE:
            missing = "config.yaml" if not self.config else "metrics.json"
            return f"done, but its {missing} is missing or damaged"
        return "still running, or killed: its manifest records no end"

    def table(
        self, name: str, texts: Sequence[str], numbers: Sequence[str] = ()
    ) -> pd.DataFrame | None:
        """Return a CSV file of the run; None if it is missing, damaged or lacks one of the columns.

        texts, numbers: columns that must be there; what is no number in the latter becomes NaN.
        """
        try:
            table = pd.read_csv(own_file(self.path, name), **RAW_TEXT)  # type: ignore[call-overload]
        except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
            return None
        if not {*texts, *numbers} <= set(table.columns):
            return None
        return table.assign(**{key: pd.to_numeric(table[key], errors="coerce") for key in numbers})

    def place(self, path: str) -> Path:
        """Return a recorded path: a relative one is in the run's working directory, or in this."""
        recorded = Path(str(self.manifest.get("cwd", ".")), path)
        return recorded if recorded.exists() else Path(path)

    @property
    def data_root(self) -> Path | None:
        """Return the folder that the run recorded for its images, if it did."""
        values = dict(flat(self.config))
        root = values.get("data.source.root") or values.get("data.root")
        return self.place(root) if isinstance(root, str) else None

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """Return the lines of metrics.jsonl without damaged ones, such as a cut last line."""
        try:
            lines = own_file(self.path, "metrics.jsonl").read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            return []
        return [found for found in map(_record, lines) if found]

    def _results_whole(self) -> bool:
        return self.task != TRAIN or isinstance(self.metrics.get("accuracy"), float)


def reported_runs(folders: Sequence[str]) -> list[ReportedRun]:
    """Return the trained runs in the named run and sweep folders, each once, in that order.

    A name that is no folder may hold the wildcards *, ? and [...]. Raises ConfigError with every
    folder that is missing, or holds no trained run.
    """
    found: dict[Path, ReportedRun] = {}
    problems: list[LmolError] = []
    for folder in (match for name in folders for match in _matches(name)):
        try:
            for run in _of(folder):
                found.setdefault(run.path.resolve(), run)
        except RunFolderError as error:
            problems.append(error)
    if problems:
        raise ConfigError(problems)
    return list(found.values())


def _matches(name: str) -> list[Path]:
    """Return the folder of that name, or the folders that match it, oldest first."""
    if Path(name).exists():
        return [Path(name)]
    found = [Path(match) for match in glob(name) if Path(match).is_dir()]  # noqa: PTH207
    return sorted(found, key=_start) or [Path(name)]


def _start(folder: Path) -> tuple[str, str]:
    """Return the start of the first run in a folder, and the folder's name."""
    places = [folder / MANIFEST, *folder.glob(f"*/{MANIFEST}")]
    starts = [str(read_mapping(place).get("start")) for place in places if place.is_file()]
    return min(starts, default=""), folder.name


def runs_in(folder: Path) -> Iterator[ReportedRun]:
    """Yield the jobs of a sweep, in the order of their folders' names."""
    if folder.is_dir():
        for child in sorted(folder.iterdir()):
            if is_run(child):
                yield ReportedRun.read(child, folder)


def _of(folder: Path) -> list[ReportedRun]:
    if is_run(folder):
        run = ReportedRun.read(folder)
        if run.task not in (TRAIN, None):
            raise _not_trained(run)
        return [run]
    jobs = [run for run in runs_in(folder) if run.task in (TRAIN, None)]
    if not jobs:
        raise _no_run(folder)
    return _as_wanted(folder, jobs)


def _as_wanted(sweep: Path, jobs: list[ReportedRun]) -> list[ReportedRun]:
    """Sort jobs in the order of the sweep's command: its first setting is the reference."""
    wanted = read_mapping(sweep / SWEEP).get("wanted")
    cells = wanted if isinstance(wanted, list) else []
    named = [{key: cell[key] for key in cell if key != FOLD} for cell in cells]
    places = [named.index(job.swept) if job.swept in named else len(named) for job in jobs]
    return [job for _, job in sorted(zip(places, jobs, strict=True), key=lambda pair: pair[0])]


def is_run(folder: Path) -> bool:
    """Return whether a run has written its first file there."""
    return folder.is_dir() and any((folder / name).is_file() for name in TRACES)


def _not_trained(run: ReportedRun) -> RunFolderError:
    return RunFolderError(
        run.path,
        got=f"the folder of task={run.task}",
        expected="folders of training runs, or of sweeps",
        remedy=f"name the run that it used: {run.manifest.get('run')}",
    )


def _no_run(folder: Path) -> RunFolderError:
    there = "a folder without a trained run in it" if folder.is_dir() else "no such folder"
    if set(str(folder)) & set("*?[") and not folder.exists():
        there = "a pattern that matches no folder"
    return RunFolderError(
        f"runs={folder}",
        got=there,
        expected="folders of training runs, or of sweeps",
        remedy="python -m lmol.run task=report lists them; a folder with a comma in its name is "
        "written runs=\"['a,b']\"",
    )


def _record(line: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except ValueError:
        return {}
    return values if isinstance(values, dict) and "step" in values else {}
