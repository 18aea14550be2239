"""Starting Weights & Biases: its process, its settings, its key, and what it refuses."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from lmol.config.schema import TrackingMode
from lmol.errors import LmolError

if TYPE_CHECKING:
    import wandb

STAGING = "WANDB_DATA_DIR"
"""Where W&B keeps tables and artifacts until they are uploaded; else in the user's home."""

LONGEST_UPLOAD = 600.0
"""Seconds that the end of a run waits for the network; what is left stays in the run folder."""


def load(mode: TrackingMode) -> None:
    """Import all that W&B's init would, and start its process, which sleeps before it answers."""
    import wandb.sdk.launch.inputs.internal  # noqa: F401

    if mode is TrackingMode.OFFLINE:  # online, the key is looked for first
        threading.Thread(target=_start_process, daemon=True).start()


def _start_process() -> None:
    import wandb

    with suppress(Exception):  # init meets it again, and tells
        wandb.setup(wandb.Settings(mode="offline", silent=True, console="off"))


def missing_key() -> str | None:
    """What is wrong with the key for W&B's server; None where there is one.

    As W&B looks for it: WANDB_API_KEY, then netrc, then its settings. Raises LmolError where these
    cannot be read.
    """
    import wandb
    from wandb.errors import AuthenticationError
    from wandb.sdk.lib import wbauth

    with explained(TrackingMode.ONLINE):
        # Disabled, no process is started; torn down, nothing of it stays for the run.
        host = wandb.setup(wandb.Settings(mode="disabled", silent=True)).settings.base_url
    try:
        found = wbauth.authenticate_session(
            host=host, source="lmol", prompt=False, update_session=False
        )
    except AuthenticationError as error:
        return f"a key that is none ({error})"
    finally:
        wandb.teardown()
    return None if found else f"no key for {host}"


def default_entity() -> str:
    """The user or team that W&B stores things under where none is named; asks the server."""
    import wandb

    api = wandb.Api()
    return str(api.settings.get("entity") or api.default_entity or "")


@contextmanager
def refused_online() -> Iterator[None]:
    """Whatever goes wrong at the server or on the way to it is told as a mistake."""
    try:
        yield
    except LmolError:
        raise
    except Exception as error:  # of W&B, of what it requests with, of the report's own checks
        raise _refused(TrackingMode.ONLINE, f"{type(error).__name__}: {error}") from error


def settings_of(mode: TrackingMode, folder: Path) -> wandb.Settings:
    """No console capture, code, git or prompts, whatever the environment says."""
    import wandb

    return wandb.Settings(
        mode="online" if mode is TrackingMode.ONLINE else "offline",
        root_dir=str(folder),
        use_dot_wandb=False,
        symlink=False,
        console="off",
        silent=True,
        finish_timeout=LONGEST_UPLOAD,
        finish_timeout_raises=True,
        save_code=False,
        disable_code=True,
        disable_git=True,
    )


@contextmanager
def explained(mode: TrackingMode) -> Iterator[None]:
    """What W&B refuses, or does not understand in the environment, is told as a mistake."""
    import wandb

    try:
        yield
    except (wandb.Error, OSError) as error:
        raise _refused(mode, str(error)) from error
    except ValidationError as error:
        said = [f"{'.'.join(map(str, d['loc']))}: {d['msg']}" for d in error.errors()]
        raise _refused(mode, ", ".join(said)) from error


def _refused(mode: TrackingMode, said: str) -> LmolError:
    return LmolError(
        "tracking.mode",
        got=f"{mode.value}, and W&B says: {said}",
        expected="a run that W&B takes",
        remedy="check network, key, tracking.entity, tracking.project and the environment's WANDB_*"
        "; or set tracking=offline, or off",
    )


@contextmanager
def staged_in(folder: Path) -> Iterator[None]:
    """Files that wait for their upload stand in the folder, unless the user chose another."""
    chosen = STAGING in os.environ
    os.environ.setdefault(STAGING, str(folder))
    try:
        yield
    finally:
        if not chosen:
            del os.environ[STAGING]
