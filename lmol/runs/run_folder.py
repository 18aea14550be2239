"""Run folders: claimed once, never overwritten, with a manifest about the course of the run.

A SilentFolder takes the place of one where results are dropped.
"""

from __future__ import annotations

import logging
import os
import shutil
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from lmol.config import Config, as_dict, signature
from lmol.config.sweeping import JobPlace
from lmol.errors import LmolError, RunFolderError
from lmol.runs.environment import describe_environment, describe_process, peak_memory
from lmol.runs.formats import FORMAT, KEY
from lmol.runs.result_folder import ResultFolder
from lmol.runs.run_lock import RUNNING, run_lock
from lmol.runs.run_log import LOGGER, run_log
from lmol.runs.state_folder import STATE
from lmol.system.disk import ANY_SPACE, disk_error, require_space
from lmol.system.files import to_json, write_text
from lmol.system.signals import describe_interrupt

MANIFEST = "manifest.json"
DONE, FAILED, INTERRUPTED = "done", "failed", "interrupted"

ATTEMPT = ("start", "end", "status", "error", "host", "pid")
"""Facts of an earlier attempt that the manifest of a continued run keeps."""

RESERVE = ".reserve"
RESERVED = 128 * 1024
"""Bytes that a run reserves, so that it can write how it ended even if the disk is full.

They are random: a file system that compresses would reserve no space for zeros.
"""

_NOWHERE = logging.NullHandler()
"""A handler that drops all records; without any handler, Python prints warnings by itself."""


class RunFolder(ResultFolder):
    """The folder of a run; open it with `with`, so that the end of the run enters the manifest.

    path: absolute. Files appear whole or not at all; only run.log, metrics.jsonl and files
    written by `append` grow.
    """

    RESUMABLE = (RUNNING, INTERRUPTED, FAILED)
    """Status of a run that can be continued; a run that a health rule stopped would stop again."""

    def __init__(self, path: Path, facts: dict[str, Any], *, debug: bool) -> None:
        super().__init__(path)
        self._facts, self._debug = facts, debug
        self.state: Path | None = None
        """The state to continue from; None for a run that begins."""
        self._space = ANY_SPACE
        self._open = ExitStack()

    @classmethod
    def claim(cls, place: Path | JobPlace, config: Config, **more: Any) -> RunFolder:
        """Make the folder this run's own, and write config.yaml and the manifest.

        more: facts for the manifest. Raises RunFolderError if the folder already holds files other
        than Hydra's own for the job, or another run claims it.
        """
        if not isinstance(place, JobPlace):
            place = JobPlace(path=Path(place), sweep=None)
        path = place.path.absolute()
        path.mkdir(parents=True, exist_ok=True)
        if place.is_used():
            raise _exists(path)
        try:
            (path / MANIFEST).touch(exist_ok=False)  # of several runs at a time, one succeeds
        except FileExistsError:
            raise _exists(path) from None
        seed = config.seed + config.fold.index
        known = {"task": config.task.name, "name": config.name, "fold": config.fold.index}
        known |= {"cwd": str(Path.cwd()), **more, **describe_process()}
        facts = known | {"seed": seed, "signature": signature(config)} | describe_environment()
        folder = cls(path, {"status": RUNNING, "error": None} | facts, debug=config.debug)
        try:
            (path / RESERVE).write_bytes(os.urandom(RESERVED))
            folder.note(start=_now(), end=None)
            folder._open.enter_context(run_lock(path))
            values = {KEY: FORMAT} | as_dict(config)
            write_text(path / "config.yaml", yaml.safe_dump(values, sort_keys=False))
        except OSError as error:
            for name in (RESERVE, "config.yaml", MANIFEST):
                (path / name).unlink(missing_ok=True)
            raise disk_error(error, path) or error from error
        return folder

    @classmethod
    def reopen(
        cls, path: Path, before: dict[str, Any], state: Path | None, config: Config
    ) -> RunFolder:
        """Make an unfinished run's folder this process's own. before: its manifest."""
        known = {key: before.get(key) for key in ATTEMPT}
        known["start"] = before.get("continued", before.get("start"))
        attempts = [*before.get("attempts", []), known]
        facts = {**before, **describe_process(), "attempts": attempts, "continued": _now()}
        folder = cls(path, {**facts, "status": RUNNING, "error": None}, debug=config.debug)
        folder.state = state
        (path / RESERVE).write_bytes(os.urandom(RESERVED))
        folder.note(end=None)
        folder._open.enter_context(run_lock(path))
        return folder

    def __enter__(self) -> RunFolder:
        self._file_handler = self._open.enter_context(
            run_log(self.path / "run.log", debug=self._debug)
        )
        LOGGER.info("Run folder: %s", self.path)
        if "attempts" in self._facts:
            LOGGER.info("Continued from %s", self.state.name if self.state else "its beginning")
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        (self.path / RESERVE).unlink(missing_ok=True)
        unwritable = None if error is None else disk_error(error, self.path, self._space)
        shown = unwritable or error
        status = DONE if shown is None else _status(shown)
        described = None if shown is None else _describe(shown)
        self.note(status=status, error=described, end=_now(), **peak_memory())
        if status == DONE:  # not before: a process killed until then is continued
            shutil.rmtree(self.path / STATE, ignore_errors=True)
        if shown is not None:
            self._log_error(shown)
        self._open.close()
        if unwritable is not None and unwritable is not error:
            raise unwritable from error

    @property
    def facts(self) -> dict[str, Any]:
        """Return the current content of the manifest."""
        return dict(self._facts)

    def note(self, **facts: Any) -> None:
        """Add facts such as data_hash to the manifest, and write it anew."""
        self._facts |= facts
        write_text(self.path / MANIFEST, to_json(self._facts, indent=2) + "\n")

    def require_space(self, needed: int, purpose: str) -> None:
        """Raise DiskError if fewer bytes are free here than a task will need."""
        self._space = require_space(self.path, needed, purpose)

    def result_of(self, task: Callable[[], float | None]) -> float | None:
        """Run the task; keep its result in the manifest, for a sweep that asks again."""
        result = task()
        self.note(result=result)
        return result

    def append_metrics(self, metrics: dict[str, Any]) -> None:
        """Add a line to metrics.jsonl; it is on disk when this returns."""
        self.append("metrics.jsonl", to_json(metrics) + "\n")

    def _log_error(self, error: BaseException) -> None:
        """Write an error to run.log only: the command prints it on the console."""
        mistake = isinstance(error, LmolError) and not self._debug
        text = str(error) if mistake else "".join(traceback.format_exception(error))
        record = logging.LogRecord(LOGGER.name, logging.ERROR, __file__, 0, text, None, None)
        self._file_handler.handle(record)


class SilentFolder(RunFolder):
    """A run folder that drops all results: for processes that only compute, and for notebooks."""

    writes = False

    def __init__(self, path: Path, state: Path | None = None) -> None:
        super().__init__(path, {}, debug=False)
        self.state = state

    def __enter__(self) -> RunFolder:
        LOGGER.addHandler(_NOWHERE)
        return self

    def __exit__(self, *ended: object) -> None:
        LOGGER.removeHandler(_NOWHERE)

    def folder(self, name: str, *dropped: Any, **more: Any) -> Path:
        """Return the path that the result would have; make nothing."""
        return self.path / name

    write_text = append = write_table = folder

    def part(self, name: str) -> SilentFolder:
        return SilentFolder(self.path / name)

    def note(self, **facts: Any) -> None:
        pass

    def require_space(self, needed: int, purpose: str) -> None:
        pass


def _exists(path: Path) -> RunFolderError:
    return RunFolderError(
        path,
        got="a run folder that exists",
        expected="a folder that is new or empty: results are never overwritten",
        remedy="choose another with hydra.run.dir=..., or leave the choice to the program",
    )


def _status(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return error.status if isinstance(error, LmolError) else FAILED


def _describe(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return describe_interrupt(error)
    return f"{type(error).__name__}: {error}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
