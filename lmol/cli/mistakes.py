"""Messages about the user's mistake, made from exceptions of Hydra, OmegaConf and the disk."""

from __future__ import annotations

import errno
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from lmol.config.uncomposable import composition_mistake
from lmol.errors import LmolError, RunFolderError
from lmol.system.disk import disk_error

MISTAKES = (LmolError, HydraException, OmegaConfBaseException, YAMLError)


def mistake_of(error: Exception) -> LmolError | None:
    """Return the error to show to the user; None for a fault of the program."""
    if isinstance(error, LmolError):
        return error
    if isinstance(error, MISTAKES):
        return composition_mistake(error)
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return no_folder(error, "hydra.sweep.subdir")
    return disk_error(error, Path.cwd())


def no_folder(error: OSError, key: str) -> LmolError:
    """Return the error about a folder of results that cannot be made. key: its setting."""
    return RunFolderError(
        error.filename or key,
        got=f"a place where no folder can be made ({error.strerror})",
        expected="a folder that is new or empty",
        remedy=f"choose another with {key}=...",
    )
