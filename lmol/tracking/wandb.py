"""Runs in Weights & Biases: the one module that imports wandb, and only where it is used."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from lmol.config import Config, as_dict
from lmol.config.schema import TrackingMode
from lmol.errors import LmolError
from lmol.tracking.files import plain
from lmol.tracking.tracker import Tracker

if TYPE_CHECKING:
    import wandb

log = logging.getLogger(__name__)

STEP = "step"
"""The x-axis of every chart: W&B's own step only grows, and drops what comes late."""

STAGING = "WANDB_DATA_DIR"
"""Where W&B keeps tables and artifacts until they are uploaded; else in the user's home."""

FOLD_FOLDER = "fold_"
"""How the folder of a job of a sweep begins."""

LONGEST_TAG = 64
LONGEST_UPLOAD = 600.0
"""Seconds that the end of a run waits for the network; what is left stays in the run folder."""


class WandbTracker(Tracker):
    """One W&B run, in wandb/ of a run folder.

    Raises LmolError where W&B refuses the run or is not reached.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        with ExitStack() as opened:
            opened.enter_context(_staged_in(folder / "wandb"))
            self._run = _start(config, folder)
            self._open = opened.pop_all()
        self._facts: dict[str, Any] = {}
        self._run.define_metric(STEP, hidden=True)
        self._run.define_metric("*", step_metric=STEP)
        log.info("W&B: %s", _place(self._run, config.tracking.mode))

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        self._run.log({**scalars, STEP: step})

    def table(self, name: str, step: int, columns: Mapping[str, Collection[Any]]) -> None:
        import wandb

        cells = [_cells(values) for values in columns.values()]
        rows: list[Iterable[Any]] = [list(row) for row in zip(*cells, strict=True)]
        table = wandb.Table(columns=list(columns), data=rows)
        self._run.log({name: table, STEP: step})

    def image(self, name: str, step: int, path: Path, caption: str = "") -> None:
        import wandb

        self._run.log({name: wandb.Image(str(path), caption=caption or None), STEP: step})

    def summary(self, values: Mapping[str, Any]) -> None:
        self._run.summary.update(plain(values))

    def note(self, facts: Mapping[str, Any]) -> None:
        self._facts |= plain(facts)
        self._run.config.update({"manifest": self._facts}, allow_val_change=True)

    def artifact(self, folder: Path, name: str) -> None:
        import wandb

        artifact = wandb.Artifact(re.sub(r"[^\w.-]", "-", name, flags=re.ASCII), type="model")
        artifact.add_dir(str(folder), policy="immutable", skip_cache=True)
        self._run.log_artifact(artifact)

    def finish(self, failed: bool) -> None:
        import wandb

        with self._open:
            try:
                self._run.finish(exit_code=int(failed))
            except TimeoutError:
                log.warning("W&B: not all is uploaded; %s", _by_hand(self._run))
            # The process beside this one ends too, and the next run reads the environment anew.
            wandb.teardown()


def missing_key() -> str | None:
    """What is wrong with the key for W&B's server; None where there is one.

    As W&B looks for it: WANDB_API_KEY, then netrc, then its settings. Raises LmolError where these
    cannot be read.
    """
    import wandb
    from wandb.errors import AuthenticationError
    from wandb.sdk.lib import wbauth

    with _explained(TrackingMode.ONLINE):
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


def run_id(folder: Path) -> str:
    """The same for a run folder whenever it is opened, so that W&B continues its run."""
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]


def group(config: Config, folder: Path) -> str:
    """The sweep that a job is of, else the recipe."""
    return folder.parent.name if folder.name.startswith(FOLD_FOLDER) else config.name


def tags(config: Config) -> list[str]:
    """Those of the configuration, and recipe, fold and data source; each once."""
    source = config.data.source["_target_"].rpartition(".")[2]
    own = (config.name, f"fold {config.fold.index}", source)
    return list(dict.fromkeys([*config.tracking.tags, *(tag[:LONGEST_TAG] for tag in own)]))


def _start(config: Config, folder: Path) -> wandb.Run:
    import wandb

    tracking = config.tracking
    with _explained(tracking.mode):
        settings = _settings(tracking.mode, folder)
        # Before init, which otherwise reports usage to the server even where the run is offline.
        wandb.setup(settings)
        return wandb.init(
            project=tracking.project,
            entity=tracking.entity,
            id=run_id(folder),
            name=f"{config.name} fold {config.fold.index}",
            group=group(config, folder),
            job_type=config.task.name,
            tags=tags(config),
            config=as_dict(config),
            resume="allow",
            reinit="finish_previous",
            settings=settings,
        )


def _settings(mode: TrackingMode, folder: Path) -> wandb.Settings:
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
def _explained(mode: TrackingMode) -> Iterator[None]:
    """What W&B refuses, or does not understand in the environment, is told as a mistake."""
    import wandb

    try:
        yield
    except wandb.Error as error:
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


def _place(run: wandb.Run, mode: TrackingMode) -> str:
    return str(run.url) if mode is TrackingMode.ONLINE else f"offline; {_by_hand(run)}"


def _by_hand(run: wandb.Run) -> str:
    return f"wandb sync {run.settings.sync_dir} uploads it"


@contextmanager
def _staged_in(folder: Path) -> Iterator[None]:
    """Files that wait for their upload stand in the folder, unless the user chose another."""
    chosen = STAGING in os.environ
    os.environ.setdefault(STAGING, str(folder))
    try:
        yield
    finally:
        if not chosen:
            del os.environ[STAGING]


def _cells(values: Collection[Any]) -> list[Any]:
    """A column of one kind, which W&B can sort or show; of several, it is all text. None stays."""
    import wandb

    kinds = {_kind(value) for value in values} - {type(None)}
    if kinds == {Path}:
        return [value and wandb.Image(str(value)) for value in values]
    as_text = len(kinds) > 1 or not kinds <= {float, bool, str}
    cells = [plain(value) for value in values]
    return [str(cell) if as_text and cell is not None else cell for cell in cells]


def _kind(value: Any) -> type:
    if isinstance(value, Path):
        return Path
    kind = type(plain(value))
    return float if kind is int else kind
