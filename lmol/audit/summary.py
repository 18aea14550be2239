"""Summary of an audit: each finding, its place, its first step, and advice, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KINDS = {
    "frozen_weights": "frozen weights",
    "lora": "LoRA",
    "projector": "projector",
    "gradients": "gradients",
    "optimizer_state": "optimizer state",
    "saved_activations": "activations of a micro-batch",
}


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Summary as text for people (Markdown) and as values for programs."""

    text: str
    values: dict[str, Any]


def summarise(
    report: Mapping[str, Any], audited: Sequence[int], memory: Mapping[str, Any], asked: int
) -> Summary:
    """Return the summary. report: of Monitor.close; audited: steps; memory: bytes by kind.

    asked: number of rules.
    """
    values = {
        **report,
        "audited_steps": list(audited),
        "rules_asked": asked,
        "memory": dict(memory),
    }
    parts = [
        "# Audit",
        _looked_at(report, audited, asked),
        *_found(report["findings"], audited),
        *_memory(memory),
    ]
    return Summary(text="\n\n".join(parts) + "\n", values=values)


def _looked_at(report: Mapping[str, Any], audited: Sequence[int], asked: int) -> str:
    shown = ", ".join(map(str, audited[:6])) + (" ..." if len(audited) > 6 else "")
    return (
        f"{report['steps']} steps were trained, {len(audited)} of them audited ({shown}), "
        f"{report['skipped_steps']} left out. {asked} rules were asked; {len(report['findings'])} "
        "found something."
    )


def _found(findings: Sequence[Mapping[str, Any]], audited: Sequence[int]) -> list[str]:
    if not findings and len(audited) < 2:
        return ["Nothing was found, but next to nothing was looked at."]
    if not findings:
        return ["Nothing was found: every trained tensor has gradients and moves, every frozen one "
                "is as it was."]  # fmt: skip
    parts = []
    for finding in findings:
        lines = [
            f"## {finding['severity']}: {finding['rule']}",
            "",
            f"- found: {finding['found']}",
            f"- since: {_since(finding)}",
            *[f"- done: {action}" for action in finding["actions"]],
            f"- what usually helps: {finding['helps']}",
        ]
        parts.append("\n".join(lines))
    return parts


def _since(finding: Mapping[str, Any]) -> str:
    first, last, times = finding["first_step"], finding["last_step"], finding["times"]
    since = "before the first step" if first == 0 else f"step {first}"
    return since if times == 1 else f"{since}, {times} times until step {last}"


def _memory(memory: Mapping[str, Any]) -> list[str]:
    if not memory:
        return []
    rows = [f"| {name} | {memory[kind] / 1e6:,.2f} |" for kind, name in _kinds(memory)]
    batch = memory["largest_batch_pairs"]
    estimate = (
        "How large a batch would fit is not known: activations are recomputed, or were not seen."
        if batch is None
        else f"A micro-batch of about {batch:,} pairs would fit (train.batch_pairs)."
    )
    table = "\n".join(["| memory | MB |", "| --- | --- |", *rows])
    return ["## Memory", table, estimate]


def _kinds(memory: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the kinds of memory that were measured, with their names."""
    named = [(kind, name) for kind, name in KINDS.items() if kind in memory]
    return named + [(k, k) for k in memory if k not in KINDS and k != "largest_batch_pairs"]
