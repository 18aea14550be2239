"""The command in a forked process: it has torch imported already, and can be killed or signalled.

A forked process that is killed dies as any other does: nothing of it cleans up.
"""

import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import pytest
from accelerate.state import AcceleratorState

from lmol.run import main


class Forked:
    """A running command. log: its output and errors; folder: its working directory."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        before: Callable[[pytest.MonkeyPatch], None] = lambda patch: None,
    ) -> None:
        """Begin the command; `before` may replace functions in its process."""
        self._log = folder / f"forked_{time.monotonic_ns()}.log"
        self.pid = os.fork()
        if self.pid == 0:
            self._run(folder, arguments, environment or {}, before)

    def _run(self, folder: Path, arguments: Any, environment: Any, before: Any) -> NoReturn:
        code = 1
        try:
            file = self._log.open("w", buffering=1)
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            warnings.simplefilter("default")
            AcceleratorState._reset_state(reset_partial_state=True)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                patch.setattr(sys, "stdout", file)
                patch.setattr(sys, "stderr", file)
                patch.setattr(sys, "argv", ["lmol", *arguments])
                for name, value in {"HYDRA_FULL_ERROR": "1", **environment}.items():
                    patch.setenv(name, value)
                before(patch)
                main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            file.flush()
            os._exit(code)

    def kill(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Return the exit code, or the negative number of the signal that killed the process."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    @property
    def log(self) -> str:
        """Return what the command printed."""
        return self._log.read_text()


def killed_in(folder: Path, place: str, call: int, *arguments: str, after: bool = False) -> None:
    """Run the command; kill it before, or after, the call-th call of a function.

    place: module:qualified name. Fails the test if the function is not called as often.
    """
    ended = Forked(folder, *arguments, before=lambda patch: _kill_at(patch, place, call, after))
    assert ended.wait() == -signal.SIGKILL, f"{place} was not called {call} times:\n{ended.log}"


def _kill_at(patch: pytest.MonkeyPatch, place: str, call: int, after: bool) -> None:
    module, _, name = place.partition(":")
    owner: Any = import_module(module)
    *outer, last = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    original = getattr(owner, last)
    calls = 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    patch.setattr(owner, last, counted)
