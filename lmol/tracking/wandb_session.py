"""The start of Weights & Biases: its process, its settings, its key, and its errors."""

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
"""Variable for W&B's folder of tables and artifacts before their upload, else in the home."""

LONGEST_UPLOAD = 600.0
"""Seconds that the end of a run waits for the network; other data stays in the run folder."""


def load(mode: TrackingMode) -> None:
    """Import all that W&B's init would, and start its process, which sleeps before it answers."""
    import wandb.sdk.launch.inputs.internal  # noqa: F401

    if mode is TrackingMode.OFFLINE:  # online, the key is looked for first
        threading.Thread(target=_start_process, daemon=True).start()


def _start_process() -> None:
    import wandb

    with suppress(Exception):  # init raises it again, and reports it
        wandb.setup(wandb.Settings(mode="offline", silent=True, console="off"))


def missing_key() -> str | None:
    """Return the fault of the key for W&B's server; None if there is a key.

    Search order, as in W&B: WANDB_API_KEY, then netrc, then its settings. Raises LmolError if these
    cannot be read.
    """
    import wandb
    from wandb.errors import AuthenticationError
    from wandb.sdk.lib import wbauth

    with explained(TrackingMode.ONLINE):
        # "disabled" starts no process; the teardown leaves nothing for the run.
        host = wandb.setup(wandb.Settings(mode="disabled", silent=True)).settings.base_url
    try:
        found = wbauth.authenticate_session(
            host=host, source="lmol", prompt=False, update_session=False
        )
    except AuthenticationError as error:
        return f"an invalid key ({error})"
    finally:
        wandb.teardown()
    return None if found else f"no key for {host}"


def default_entity() -> str:
    """Ask the server for the default user or team under which W&B stores runs."""
    import wandb

    api = wandb.Api()
    return str(api.settings.get("entity") or api.default_entity or "")


@contextmanager
def refused_online() -> Iterator[None]:
    """Turn any error at the server or on the way to it into a mistake of the user's."""
    try:
        yield
    except LmolError:
        raise
    except Exception as error:  # of W&B, its HTTP library, the report's own checks
        raise _refused(TrackingMode.ONLINE, f"{type(error).__name__}: {error}") from error


def settings_of(mode: TrackingMode, folder: Path) -> wandb.Settings:
    """Return settings without console capture, code, git or prompts, despite the environment."""
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
    """Turn W&B's refusals, and its errors about the environment, into mistakes of the user's."""
    import wandb

    try:
        yield
    except (wandb.Error, OSError) as error:
        raise _refused(mode, str(error)) from error
    except ValidationError as error:
        messages = [f"{'.'.join(map(str, d['loc']))}: {d['msg']}" for d in error.errors()]
        raise _refused(mode, ", ".join(messages)) from error


def _refused(mode: TrackingMode, message: str) -> LmolError:
    return LmolError(
        "tracking.mode",
        got=f"{mode.value}, and W&B says: {message}",
        expected="a run that W&B accepts",
        remedy="check network, key, tracking.entity, tracking.project and the environment's WANDB_*"
        "; or set tracking=offline, or off",
    )


@contextmanager
def staged_in(folder: Path) -> Iterator[None]:
    """Keep files before their upload in the folder, unless the user chose another."""
    chosen = STAGING in os.environ
    os.environ.setdefault(STAGING, str(folder))
    try:
        yield
    finally:
        if not chosen:
            del os.environ[STAGING]
