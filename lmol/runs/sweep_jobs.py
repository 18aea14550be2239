"""The jobs of a sweep, read from their folders, whatever processes they ran in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmol.config.sweeping import FOLD, Cell
from lmol.errors import RunFolderError
from lmol.runs.job_record import Costs, Failure, costs, failures
from lmol.runs.run_folder import DONE, FAILED, MANIFEST
from lmol.runs.sweep_folder import KILLED, MISSING, SweepRecord, job_status

METRICS = "metrics.json"
KILLED_ERROR = "its process ended without a word: killed, or out of memory"


@dataclass(frozen=True, kw_only=True)
class SweptJob:
    """One job. folder: None if it was not started; values: of the swept keys.

    status: done, running, failed (or failed: health), killed, missing; validation: the metric that
    the task returned, which sweepers optimize.
    """

    folder: Path | None
    fold: int
    values: Cell
    status: str
    validation: float | None
    error: str | None
    costs: Costs | None

    @property
    def done(self) -> bool:
        return self.status == DONE

    def metrics(self) -> dict[str, Any]:
        """Return the metrics of the held-out fold; empty if the job is not done.

        Raises RunFolderError if the job is done and its metrics cannot be read.
        """
        if not self.done or self.folder is None:
            return {}
        try:
            found: dict[str, Any] = json.loads((self.folder / METRICS).read_text(encoding="utf-8"))
            return found
        except (OSError, ValueError) as error:
            raise _damaged(self.folder, error) from error


def _damaged(folder: Path, error: Exception) -> RunFolderError:
    return RunFolderError(
        folder,
        got=f"a finished job without readable {METRICS} ({error})",
        expected="the results that it wrote",
        remedy="move the folder away; the same command does the job again",
    )


def sweep_jobs(sweep: Path, record: SweepRecord) -> list[SweptJob]:
    """Return all jobs that were wanted or started: in the order of the wanted, then by folder."""
    taken = costs(sweep)
    begun = [_begun(path.parent, taken) for path in sorted(sweep.glob("*/" + MANIFEST))]
    failed = failures(sweep)
    places = {_key(job.fold, job.values): job for job in begun}
    wanted = list(_wanted(record, places, failed))
    return [*wanted, *(job for job in begun if job not in wanted)]


def _wanted(
    record: SweepRecord, begun: dict[str, SweptJob], failed: list[Failure]
) -> Iterator[SweptJob]:
    for cell in record.wanted:
        values = {key: value for key, value in cell.items() if key != FOLD}
        job = begun.get(_key(cell[FOLD], values))
        yield job or _not_begun(cell, values, failed)


def _begun(folder: Path, taken: dict[str, Costs]) -> SweptJob:
    status, facts = job_status(folder)
    return SweptJob(
        folder=folder,
        fold=int(facts.get("fold", 0)),
        values=facts.get("swept", {}),
        status=status,
        validation=facts.get("result"),
        error=facts.get("error") or (KILLED_ERROR if status == KILLED else None),
        costs=taken.get(folder.name),
    )


def _not_begun(cell: Cell, values: Cell, failed: list[Failure]) -> SweptJob:
    """Return a job without a folder: it was refused before it wrote anything, or never launched."""
    errors = [failure.text for failure in failed if failure.is_of(cell)]
    return SweptJob(
        folder=None,
        fold=cell[FOLD],
        values=values,
        status=FAILED if errors else MISSING,
        validation=None,
        error=errors[0] if errors else None,
        costs=None,
    )


def _key(fold: int, values: Cell) -> str:
    return json.dumps([fold, values], sort_keys=True)
