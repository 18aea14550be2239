"""The command in a forked process that ends itself by SIGKILL at a chosen call of a function.

A fork has torch imported already, and dies as a killed process does: without any cleaning up.
"""

import os
import signal
import sys
import traceback
from importlib import import_module
from pathlib import Path

import pytest

from lmol.run import main

SURVIVED = 99
"""Exit code of a child that came to its end although it should have been killed."""


def killed_in(folder: Path, place: str, call: int, *arguments: str, after: bool = False) -> None:
    """Run the command in a folder; kill it before, or after, the call-th call of a function.

    place: module:qualified name. Fails the test if the function is not called as often.
    """
    child = os.fork()
    if child == 0:
        _run_until(folder, place, call, arguments, after=after)
    _, status = os.waitpid(child, 0)
    log = (folder / "child.log").read_text()
    assert os.WIFSIGNALED(status), f"{place} was not called {call} times:\n{log[-3000:]}"


def _run_until(folder, place, call, arguments, *, after):
    try:
        with (folder / "child.log").open("a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        module, name = place.split(":")
        *outer, last = name.split(".")
        owner = import_module(module)
        for part in outer:
            owner = getattr(owner, part)
        original = getattr(owner, last)
        calls: list[None] = []

        def counted(*args, **kwargs):
            calls.append(None)
            if len(calls) == call and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = original(*args, **kwargs)
            if len(calls) == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("HYDRA_FULL_ERROR", "1")
            patch.setattr(owner, last, counted)
            patch.setattr(sys, "argv", ["lmol", *arguments])
            main()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(SURVIVED)
