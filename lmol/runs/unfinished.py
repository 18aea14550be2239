"""Unfinished training runs, and what must be the same for one to be continued to the same bits."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lmol.config import Config, as_dict
from lmol.config.paths import MACHINE, read_path
from lmol.config.signature import differences, without
from lmol.config.task_kinds import TRAIN
from lmol.errors import RunFolderError
from lmol.runs.environment import package_versions
from lmol.runs.past_runs import PastRun, readable_runs
from lmol.runs.run_folder import DONE, RunFolder
from lmol.runs.run_lock import still_runs
from lmol.runs.state_folder import STATE, newest_state, states_of
from lmol.runs.sweep_folder import locked
from lmol.system.distributed import num_processes
from lmol.system.files import foreign_paths

AUTO = "auto"
LEFTOVERS = (".*.part", ".*.partial", ".*.old", ".*.older")
"""Names of files and folders that a killed process was writing or removing."""

LINKED_BY_WANDB = "wandb/*run-*/logs/*.log"
"""Logs of W&B that are links into the home until its process ends; a later one makes others."""


def run_to_resume(name: str) -> tuple[PastRun, Path | None]:
    """Return the run of resume=<folder>, and the state to continue from; None before the first.

    name: the folder of a run, or of one of its states.
    """
    path = Path(read_path("resume", name)).absolute()
    of_state = path.parent.name == STATE
    run = path.parents[1] if of_state else path
    return PastRun.read(run), path if of_state else newest_state(run)


def unfinished_runs(config: Config) -> list[PastRun]:
    """Return the runs below outputs/ that this configuration can continue, newest first."""
    same = [past for past in readable_runs() if _continues(past, config)]
    return sorted(same, key=lambda past: str(past.manifest.get("start")), reverse=True)


def _continues(past: PastRun, config: Config) -> bool:
    with suppress(RunFolderError):
        refuse_to_continue(past, config)
        return True
    return False


def continue_run(past: PastRun, state: Path | None, config: Config) -> RunFolder:
    """Claim the folder of an unfinished run again.

    Raises RunFolderError if the run is finished, still runs, or is of another signature, number of
    processes or version.
    """
    foreign = [path for path in foreign_paths(past.path) if not path.match(LINKED_BY_WANDB)]
    if foreign:
        raise _refused(past, f"{foreign[0].name}, a link that leads out, or no file", "remove it")
    with locked(past.path):
        past = PastRun.read(past.path)
        refuse_to_continue(past, config)
        for pattern in LEFTOVERS:
            for left in past.path.rglob(pattern):
                _remove(left)
        for later in states_of(past.path):
            if state is not None and later.name > state.name:  # what follows it is done again
                _remove(later)
        return RunFolder.reopen(past.path, past.manifest, state, config)


def refuse_to_continue(past: PastRun, config: Config) -> None:
    """Raise RunFolderError, with the reason, if a run cannot be continued."""
    facts = past.manifest
    status = facts.get("status")
    if facts.get("task") != TRAIN:
        raise _refused(past, f"the folder of task={facts.get('task')}", "begin the task anew")
    if status == DONE:
        raise _refused(past, "a finished run", "use it: task=evaluate, rank, compare, report")
    if still_runs(past.path, facts):
        process = f"process {facts.get('pid')} on {facts.get('host')}"
        raise _refused(past, f"a run that {process} still trains", "wait for it, or end it first")
    if status not in RunFolder.RESUMABLE:
        raise _refused(past, f"a run with status {status}", "change the recipe and train anew")
    unlike = list(_unlike(past, config))
    if unlike:
        remedy = "continue it with the settings, processes and versions that it began with"
        raise _refused(past, "; ".join(unlike), remedy)


def _unlike(past: PastRun, config: Config) -> Iterator[str]:
    """Yield the differences that would lead to other bits."""
    facts = past.manifest
    then, now = (without(values, MACHINE) for values in (past.config(), as_dict(config)))
    yield from differences(then, now, "the run")
    if facts.get("num_processes", 1) != num_processes():
        yield f"{num_processes()} process(es) where the run has {facts.get('num_processes', 1)}"
    yield from _other_versions(facts.get("versions") or {})


def _other_versions(then: Mapping[str, Any]) -> Iterator[str]:
    for name, version in package_versions().items():
        if then.get(name) != version:
            yield f"{name} {version} where the run has {then.get(name)}"


def _remove(left: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def _refused(past: PastRun, got: str, remedy: str) -> RunFolderError:
    return RunFolderError(
        past.path, got=got, expected="an unfinished training run of this recipe", remedy=remedy
    )
