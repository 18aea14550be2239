"""How a command ends: what is told on standard error, the exit code, and nothing left behind.

0: done. 1: a fault of the program, with its traceback. 2: a mistake of the user's, told in a line
or two. 130: interrupted.
"""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from lmol.config.keys import did_you_mean
from lmol.errors import LmolError, RunFolderError

FAULT, MISTAKE, INTERRUPTED = 1, 2, 130
MISTAKES = (LmolError, HydraException, OmegaConfBaseException, YAMLError)
SWEEP_RECORD = "multirun.yaml"

Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """A job of a multirun that did not end well."""

    folder: Path
    error: Exception
    debug: bool

    @property
    def code(self) -> int:
        return MISTAKE if isinstance(self.error, LmolError) else FAULT


_failures: list[Failure] = []
_new_folders: list[Path] = []
_new_sweeps: list[Path] = []
_refused: list[LmolError] = []


class NewFolders(Callback):
    """Remembers which folders Hydra is about to make, so that unused ones can be taken away."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        _remember(Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        _remember(Path(config.hydra.sweep.dir))
        _new_sweeps.append(Path(config.hydra.sweep.dir).absolute())


def _remember(folder: Path) -> None:
    """The folder and its parents, as far as they do not exist, deepest first; makes it.

    Hydra would make it next; what it raises then says nothing of the setting, and what a callback
    raises it passes over.
    """
    path = folder.absolute()
    _new_folders.extend(place for place in (path, *path.parents) if not place.exists())
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _refused.append(_no_folder(path, error))


def _no_folder(path: Path, error: OSError) -> LmolError:
    return RunFolderError(
        path,
        got=f"a place where no folder can be made ({error.strerror})",
        expected="a folder that is new or empty",
        remedy="choose another with hydra.run.dir=... or hydra.sweep.dir=...",
    )


def reported(job: Callable[[DictConfig], Result]) -> Callable[[DictConfig], Result]:
    """A job whose mistake ends the command at once, or in a multirun is told at its end."""

    @wraps(job)
    def run(values: DictConfig) -> Result:
        try:
            return job(values)
        except Exception as error:
            hydra = HydraConfig.get()
            folder, debug = Path(hydra.runtime.output_dir), values.get("debug") is True
            if hydra.mode is RunMode.MULTIRUN:
                _let_go(error)
                _failures.append(Failure(folder, error, debug))
            elif isinstance(error, LmolError):
                tell(error, debug)
                raise SystemExit(MISTAKE) from error
            raise

    return run


def _let_go(error: BaseException) -> None:
    """Free what the frames of a failed job hold, such as its model; lines and files stay told."""
    for linked in (error, error.__cause__, error.__context__):
        if linked is not None:
            traceback.clear_frames(linked.__traceback__)
    gc.collect()


def tell(error: Exception, debug: bool = False) -> None:
    """The message alone for a mistake of the user's, the traceback for all else and in debug."""
    if debug or not isinstance(error, LmolError):
        traceback.print_exception(error)
    else:
        print(error, file=sys.stderr)


@contextmanager
def command_ending(debug: bool) -> Iterator[None]:
    """Turns what ends a command early into a message and an exit code; removes unused folders."""
    try:
        yield
    except KeyboardInterrupt:
        _tell_failures()
        print("interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        told = _refused[0] if _refused else error
        if not _failures and not isinstance(told, MISTAKES):
            raise
        raise SystemExit(_tell_all(told, debug)) from None
    finally:
        _failures.clear()
        _refused.clear()
        _remove_unused()


def _tell_all(error: Exception, debug: bool) -> int:
    """Every failed job of a multirun, or the one error; returns the exit code."""
    _tell_failures()
    if not _failures:
        tell(error if isinstance(error, LmolError) else composition_mistake(error), debug)
        return MISTAKE
    return min(failure.code for failure in _failures)


def _tell_failures() -> None:
    for failure in _failures:
        print(f"\nFailed: {failure.folder}", file=sys.stderr)
        tell(failure.error, failure.debug)


def composition_mistake(error: Exception) -> LmolError:
    """What Hydra or OmegaConf could not compose, as an error of ours."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
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


def _remove_unused() -> None:
    """The folders that this command made, where no run claimed them; nothing else is touched.

    Another command may be at work beside this one: what is below a folder that this command did not
    make is not looked into, but for the folders of its own sweep's jobs.
    """
    for sweep in _new_sweeps:
        for job in sweep.glob("*/"):
            _remove_empty(job)
        if [child.name for child in _children(sweep)] == [SWEEP_RECORD]:
            (sweep / SWEEP_RECORD).unlink()
    for folder in _new_folders:
        _remove_empty(folder)
    _new_folders.clear()
    _new_sweeps.clear()


def _remove_empty(folder: Path) -> None:
    if not any(_children(folder)):
        with suppress(OSError):  # gone already, or another command has put something there
            folder.rmdir()


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
