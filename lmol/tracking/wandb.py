"""Runs in Weights & Biases; only this module and wandb_session import it, and only when used."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmol.config import Config, as_dict
from lmol.config.schema import TrackingMode
from lmol.system.files import follow_umask, plain
from lmol.tracking.tracker import Tracker
from lmol.tracking.wandb_session import explained, settings_of, staged_in

if TYPE_CHECKING:
    import wandb

log = logging.getLogger(__name__)

STEP = "step"
"""The x-axis of every chart: W&B's own step only grows, and drops late values."""

FOLD_FOLDER = "fold_"
"""Start of the folder name of a sweep's job."""

LONGEST_TAG = 64


class WandbTracker(Tracker):
    """One W&B run, in wandb/ of a run folder. folds: the folds that it covers.

    Raises LmolError if W&B refuses the run or cannot be reached. A later error is logged once, and
    ends no training.
    """

    def __init__(self, config: Config, folder: Path, folds: Sequence[int]) -> None:
        with ExitStack() as opened:
            self._files = folder / "wandb"
            opened.enter_context(staged_in(self._files))
            self._run = _start(config, folder, folds)
            self._open = opened.pop_all()
        self.identity = {
            "id": self._run.id,
            "project": config.tracking.project,
            "entity": self._run.entity or config.tracking.entity,
        }
        self.continues = config.tracking.mode is TrackingMode.ONLINE
        self._facts: dict[str, Any] = {}
        self._lost = False
        self._run.define_metric(STEP, hidden=True)
        self._run.define_metric("*", step_metric=STEP)
        log.info("W&B: %s", _place(self._run, config.tracking.mode))

    @contextmanager
    def _kept_apart(self) -> Iterator[None]:
        """Catch errors of W&B, such as a dead W&B process, so that the run continues."""
        try:
            yield
        except Exception as error:
            if not self._lost:
                log.warning("W&B failed, and may miss what follows: %r", error)
            self._lost = True

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        with self._kept_apart():
            self._run.log({**scalars, STEP: step})

    def table(self, name: str, step: int, columns: Mapping[str, Collection[Any]]) -> None:
        import wandb

        if len({len(values) for values in columns.values()}) > 1:
            raise ValueError(f"{name}: a column is shorter than another")
        with self._kept_apart():  # a picture may be gone
            cells = [_cells(values) for values in columns.values()]
            rows: list[Iterable[Any]] = [list(row) for row in zip(*cells, strict=True)]
            table = wandb.Table(columns=list(columns), data=rows)
            self._run.log({name: table, STEP: step})

    def image(self, name: str, step: int, path: Path, caption: str = "") -> None:
        import wandb

        with self._kept_apart():
            self._run.log({name: wandb.Image(str(path), caption=caption or None), STEP: step})

    def summary(self, values: Mapping[str, Any]) -> None:
        with self._kept_apart():
            self._run.summary.update(plain(values))

    def note(self, facts: Mapping[str, Any]) -> None:
        self._facts |= plain(facts)
        with self._kept_apart():
            self._run.config.update({"manifest": self._facts}, allow_val_change=True)

    def artifact(self, folder: Path, name: str) -> None:
        import wandb

        with self._kept_apart():
            artifact = wandb.Artifact(re.sub(r"[^\w.-]", "-", name, flags=re.ASCII), type="model")
            artifact.add_dir(str(folder), policy="immutable", skip_cache=True)
            self._run.log_artifact(artifact)

    def finish(self, failed: bool) -> None:
        import wandb

        with self._open, self._kept_apart(), suppress(SystemExit):
            try:
                self._run.finish(exit_code=int(failed))
            except TimeoutError:
                log.warning("W&B: not all is uploaded; %s", _by_hand(self._run))
            finally:
                # This also ends W&B's own process, and the next run reads the environment anew.
                wandb.teardown()
                if self._files.is_dir():
                    follow_umask(self._files)


def run_id(folder: Path) -> str:
    """Return an id that depends only on the run folder, so that W&B continues its run."""
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]


def group(config: Config, folder: Path) -> str:
    """Return the name of the job's sweep, else of the recipe."""
    return folder.parent.name if folder.name.startswith(FOLD_FOLDER) else config.name


def tags(config: Config, folds: Sequence[int]) -> list[str]:
    """Return the configuration's tags, and recipe, folds and data source; each once."""
    source = config.data.source["_target_"].rpartition(".")[2]
    own = (config.name, *(f"fold {fold}" for fold in folds), source)
    return list(dict.fromkeys([*config.tracking.tags, *(tag[:LONGEST_TAG] for tag in own)]))


def _start(config: Config, folder: Path, folds: Sequence[int]) -> wandb.Run:
    import wandb

    tracking = config.tracking
    of_folds = f"fold{'s' if len(folds) > 1 else ''} {', '.join(map(str, folds))}"
    with explained(tracking.mode):
        settings = settings_of(tracking.mode, folder)
        # Before init, which otherwise reports usage to the server even if the run is offline.
        wandb.setup(settings)
        return wandb.init(
            project=tracking.project,
            entity=tracking.entity,
            id=run_id(folder),
            name=f"{config.name} {of_folds}",
            group=group(config, folder),
            job_type=config.task.name,
            tags=tags(config, folds),
            config=as_dict(config),
            resume="allow",
            reinit="finish_previous",
            settings=settings,
        )


def _place(run: wandb.Run, mode: TrackingMode) -> str:
    return str(run.url) if mode is TrackingMode.ONLINE else f"offline; {_by_hand(run)}"


def _by_hand(run: wandb.Run) -> str:
    return f"wandb sync {run.settings.sync_dir} uploads it"


def _cells(values: Collection[Any]) -> list[Any]:
    """Return a column of one kind, which W&B can sort or show; mixed kinds as text. None stays."""
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
