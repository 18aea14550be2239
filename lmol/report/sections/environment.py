"""Environment of the runs: source, machine, versions, times, memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lmol.report.blocks import Block, Cell, Section, Table, Text
from lmol.report.numbers import DASH, number_cell, seconds
from lmol.report.recipes import Subject
from lmol.report.runs import ReportedRun

RUNS = (
    "Training and evaluation are wall-clock times, memory is the peak of the process. A plus "
    "behind a commit: the checkout had changes that were not committed."
)
VERSIONS = "Machine and versions of packages; bold where they are not the same in all runs."


def environment_section(subject: Subject) -> Section:
    """Return a row per run, and the versions of packages."""
    runs = [run for recipe in subject.recipes for run in recipe.runs]
    nothing: list[Block] = [Text(sentences=["No run is finished."])]
    blocks = [_runs(subject), *_versions(runs)] if runs else nothing
    return Section(key="environment", title="Environment", blocks=blocks)


def _runs(subject: Subject) -> Table:
    rows = [_row(recipe.label, run) for recipe in subject.recipes for run in recipe.runs]
    columns = (
        "recipe", "fold", "training", "evaluation", "memory", "began (UTC)", "seed", "commit",
        "folder",
    )  # fmt: skip
    return Table(caption=RUNS, columns=columns, rows=rows, numeric=range(1, 7))


def _row(label: str, run: ReportedRun) -> list[Cell]:
    manifest = run.manifest
    return [
        Cell(text=label),
        Cell(text=str(run.fold), value=run.fold),
        number_cell(run.metrics.get("train_seconds"), seconds),
        number_cell(run.metrics.get("eval_seconds"), seconds),
        _memory(manifest),
        Cell(text=str(manifest.get("start", DASH))[:16].replace("T", " ")),
        Cell(text=str(manifest.get("seed", DASH)), value=manifest.get("seed")),
        Cell(text=_commit(manifest)),
        Cell(text=f"{run.path.parent.name}/{run.path.name}"),
    ]


def _memory(manifest: Mapping[str, Any]) -> Cell:
    """Return peak memory of the process, with that of its CUDA devices if it had any."""
    peak, devices = manifest.get("peak_memory_bytes"), manifest.get("peak_cuda_bytes")
    note = ", ".join(f"{device / 1e9:.1f} GB" for device in devices or ())
    text = DASH if peak is None else f"{peak / 1e9:.2f} GB"
    return Cell(text=text, value=peak, note=f"CUDA {note}" if note else "")


def _commit(manifest: Mapping[str, Any]) -> str:
    """Return the commit, with a plus if the checkout had uncommitted changes."""
    commit = str(manifest.get("git_commit") or "no checkout")[:10]
    return f"{commit}+" if manifest.get("git_dirty") else commit


def _versions(runs: Sequence[ReportedRun]) -> list[Table]:
    """Return a row for the platform, for Python, and for each package."""
    machines = [{key: run.manifest.get(key) for key in ("platform", "python")} for run in runs]
    packages = [run.manifest.get("versions") or {} for run in runs]
    found = [machine | versions for machine, versions in zip(machines, packages, strict=True)]
    names = list(dict.fromkeys(name for versions in found for name in versions))
    rows = [[Cell(text=name), _version([v.get(name) for v in found])] for name in names]
    table = Table(caption=VERSIONS, columns=("what", "version"), rows=rows, folded=True)
    return [table] if rows else []


def _version(values: Sequence[str | None]) -> Cell:
    different = sorted({value or "absent" for value in values}, key=json.dumps)
    return Cell(text=", ".join(different), strong=len(different) > 1)
