"""The end of a command: message on standard error, exit code, removal of unused folders.

0: done. 1: a fault of the program, with its traceback. 2: a mistake of the user's, with a message
of a line or two. 3: jobs of the sweep are not done because other processes work on them. 130:
Ctrl-C; 143: SIGTERM; 129: SIGHUP; 138: SIGUSR1; 75: train.max_minutes.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lmol.cli.mistakes import MISTAKES, mistake_of, no_folder
from lmol.config.paths import shown
from lmol.config.uncomposable import composition_mistake
from lmol.errors import LmolError
from lmol.runs.job_record import MISTAKE, RECORDS, JobFailed, failures, forget_failures, recorded
from lmol.runs.sweep_jobs import wait_for_jobs
from lmol.system.distributed import process_index
from lmol.system.job_process import LONGEST_END
from lmol.system.signals import (
    AGAIN,
    BASE_CODE,
    SIGNALS,
    Stopped,
    describe_interrupt,
    ending_by_signals,
    exit_code,
)

BY_SIGNAL = {AGAIN, *(BASE_CODE + number for number in SIGNALS)}
UNFINISHED_SWEEP = 3

OF_A_SWEEP = ("multirun.yaml", "sweep.yaml", ".lock")
"""Files that are removed with a sweep's folder if no job has left anything."""

Result = TypeVar("Result")

_new_folders: list[Path] = []
_sweeps: list[Path] = []
_last_words: list[Callable[[], int]] = []


class NewFolders(Callback):
    """Callback that remembers the folders Hydra will make, so that unused ones can be removed."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        _remember(config, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        sweep = _remember(config, "hydra.sweep.dir")
        _sweeps.append(sweep)
        forget_failures(sweep)


def _remember(config: DictConfig, key: str) -> Path:
    """Make the folder of a setting, remember which parents were missing, and return the folder.

    Hydra would make it next, but its error message would not name the setting.
    """
    try:
        path = Path(OmegaConf.select(config, key)).absolute()
        _new_folders.extend(place for place in (path, *path.parents) if not place.exists())
        path.mkdir(parents=True, exist_ok=True)
    except OmegaConfBaseException as error:
        refuse(composition_mistake(error))
    except OSError as error:
        refuse(no_folder(error, key))
    return path


def refuse(error: LmolError) -> NoReturn:
    """End the command at once, also from a callback, whose exceptions Hydra ignores."""
    print_error(error)
    raise SystemExit(MISTAKE)


def at_sweep_end(word: Callable[[], int]) -> None:
    """Register a function to call after the jobs, also if the sweep was ended early.

    The function returns an exit code, which counts unless a job failed.
    """
    _last_words.append(word)


def reported(job: Callable[[DictConfig], Result]) -> Callable[[DictConfig], Result]:
    """Wrap a job: its mistake ends the command at once, or in a multirun is reported at the end."""

    @wraps(job)
    def run(values: DictConfig) -> Result:
        hydra = HydraConfig.get()
        if "new_folders" not in hydra.callbacks:
            refuse(_foreign(hydra.job.config_name))
        if hydra.mode is RunMode.MULTIRUN:
            return recorded(job, values)
        try:
            return job(values)
        except (LmolError, OmegaConfBaseException) as error:
            print_error(mistake_of(error) or error, values.get("debug") is True)
            raise SystemExit(MISTAKE) from error

    return run


def _foreign(config: str | None) -> LmolError:
    return LmolError(
        "--config-name",
        got=f"{config}, which does not build upon LMOL's config",
        expected="a defaults list that begins with it, and with _self_ after it",
        remedy="write   defaults: [config, _self_]   at its top; name in it only what differs",
    )


def print_error(error: Exception, debug: bool = False) -> None:
    """Print the message for a mistake of the user's, the traceback for all else and in debug."""
    if debug or not isinstance(error, LmolError):
        traceback.print_exception(error)
    else:
        print(shown(str(error)), file=sys.stderr)


@contextmanager
def command_ending(arguments: Sequence[str]) -> Iterator[None]:
    """Turn an early end of the command into a message and an exit code; remove unused folders.

    arguments: of the command line. If several processes fail, the others wait until the first has
    written how the run ended, because torchrun ends all processes when one is gone.
    """
    try:
        with ending_by_signals(lambda: wait_for_jobs(_sweeps)), _with_messages(arguments):
            yield
    except (Exception, SystemExit) as ended:
        well = isinstance(ended, SystemExit) and ended.code in (None, 0, *BY_SIGNAL)
        if process_index() != 0 and not well:
            time.sleep(LONGEST_END)
        raise


@contextmanager
def _with_messages(arguments: Sequence[str]) -> Iterator[None]:
    """Print the message of an early end, and exit with its code."""
    debug = "debug=true" in arguments
    try:
        try:
            yield
        finally:
            codes = [_last_words.pop()() for _ in [*_last_words]]
        _end_with([*_print_failures(), *filter(None, codes)])
    except KeyboardInterrupt as error:
        _print_failures()
        if process_index() == 0:
            print(_last_line(error, arguments), file=sys.stderr)
        raise SystemExit(exit_code(error)) from None
    except JobFailed:
        _end_with(_print_failures())
    except SystemExit:
        _print_failures()
        raise
    except (*MISTAKES, OSError) as error:
        codes, mistake = _print_failures(), mistake_of(error)
        if mistake is None:
            raise
        print_error(mistake, debug)
        _end_with([*codes, MISTAKE])
    finally:
        _remove_unused()
        _new_folders.clear()
        _sweeps.clear()


def _last_line(error: KeyboardInterrupt, arguments: Sequence[str]) -> str:
    """Return how the command ended, what was saved, and the command that continues it."""
    text = describe_interrupt(error)
    if isinstance(error, Stopped) and error.kept:
        text += f"; {error.kept}"
    if not _sweeps:
        return text
    given = any(argument.startswith("hydra.sweep.dir=") for argument in arguments)
    place = [] if given else [f"hydra.sweep.dir={_sweeps[-1]}"]
    command = shlex.join([*arguments, *place])
    return f"{text}\nThe sweep goes on with\n  python -m lmol.run {command}"


def _end_with(codes: list[int]) -> None:
    """Exit with the lowest code: a fault of the program outweighs mistakes of the user's."""
    if codes:
        raise SystemExit(min(codes)) from None


def _print_failures() -> list[int]:
    """Print the failed jobs of a multirun, grouped by message; return their exit codes."""
    failed = [failure for sweep in _sweeps for failure in failures(sweep)]
    for text in dict.fromkeys(failure.text for failure in failed):
        folders = [f"Failed: {failure.folder}" for failure in failed if failure.text == text]
        print("", *folders, shown(text), sep="\n", file=sys.stderr)
    return [failure.code for failure in failed]


def _remove_unused() -> None:
    """Remove empty folders of the command's sweeps, and empty folders that the command made.

    Another command may run at the same time: folders that this command did not make are not
    searched, except the job folders of its sweeps.
    """
    for sweep in _sweeps:
        _remove_empty(sweep.glob("*/"))
        if {child.name for child in sweep.glob("*")} <= {*OF_A_SWEEP, RECORDS}:
            shutil.rmtree(sweep / RECORDS, ignore_errors=True)
            for name in OF_A_SWEEP:
                (sweep / name).unlink(missing_ok=True)
    _remove_empty(_new_folders)


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # it holds something, or is gone already
            folder.rmdir()
