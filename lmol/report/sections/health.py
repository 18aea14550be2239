"""Findings of health and audit, and the gradient flow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmol.report.blocks import Block, Cell, Image, Section, Table, Text
from lmol.report.pictures import chart_uri
from lmol.report.recipes import Recipe, Subject
from lmol.report.runs import ReportedRun

FINDINGS = "Findings of the health and audit rules in each run, with what usually helps."
FLOW = (
    "Gradient flow: sizes of the elements and norms of the gradients of every trained tensor, from "
    "left to right as images pass through the model; heights are logarithmic. Points of one colour "
    "at one height are healthy; points that fall or rise by decades from layer to layer are "
    "gradients that vanish or explode."
)
STEP = re.compile(r"gradient_flow_step_(\d+)\.png")


def health_section(subject: Subject) -> Section:
    """Return findings of all runs, including those left out, and a picture per recipe."""
    runs = [run for recipe in subject.finished for run in recipe.runs]
    everything = [*runs, *(found.run for found in subject.left_out)]
    flows = [flow for recipe in subject.finished if (flow := _flow(recipe)) is not None]
    blocks: list[Block] = [_findings(everything), *flows]
    if flows:
        blocks.append(Text(sentences=[FLOW]))
    return Section(key="health", title="Health and gradients", blocks=blocks)


def _findings(runs: Sequence[ReportedRun]) -> Block:
    monitored = [(run, health) for run in runs if (health := run.manifest.get("health"))]
    rows = [_row(run, one) for run, health in monitored for one in health.get("findings") or ()]
    steps = sum(int(health.get("steps", 0)) for _, health in monitored)
    extent = f"{len(monitored)} of {len(runs)} runs were monitored, {steps:,} steps in all"
    if not rows:
        return Text(sentences=[f"{extent}; no rule found anything."])
    columns = ("run", "severity", "rule", "found", "since", "usually helps")
    return Table(caption=f"{FINDINGS} {extent}.", columns=columns, rows=rows)


def _row(run: ReportedRun, finding: Mapping[str, Any]) -> list[Cell]:
    times, first = finding["times"], finding["first_step"]
    since = "before the first step" if first == 0 else f"step {first}"
    more = f", {times} times until step {finding['last_step']}" if times > 1 else ""
    done = "; ".join(finding.get("actions") or ())
    return [
        Cell(text=f"{run.name}, fold {run.fold}"),
        Cell(text=finding["severity"], strong=finding["severity"] == "error"),
        Cell(text=finding["rule"]),
        Cell(text=finding["found"], note=f"done: {done}" if done else ""),
        Cell(text=since + more, value=first),
        Cell(text=finding["helps"]),
    ]


def _flow(recipe: Recipe) -> Image | None:
    """Return the latest picture of the recipe's first fold that has one."""
    for run in recipe.runs:
        pictures = (run.path / "audit").glob("gradient_flow_step_*.png")
        path = max(pictures, key=_step, default=None)
        uri = chart_uri(run.path, f"audit/{path.name}") if path else None
        if path and uri:
            caption = f"Fold {run.fold}, step {_step(path)}, the last that was drawn."
            return Image(title=f"{recipe.label}: gradient flow", uri=uri, caption=caption)
    return None


def _step(path: Path) -> int:
    found = STEP.fullmatch(path.name)
    return int(found[1]) if found else -1
