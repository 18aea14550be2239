"""Summary of an audit: each finding, its place, its first step, and advice, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

KINDS = {
    "frozen_weights": "frozen weights",
    "lora": "LoRA",
    "projector": "projector",
    "gradients": "gradients",
    "optimizer_state": "optimizer state",
    "saved_activations": "activations of a micro-batch",
}


def summary_text(summary: Mapping[str, Any]) -> str:
    """Return the values of summary.json as Markdown; memory is in bytes by kind."""
    audited = summary["audited_steps"]
    parts = [
        "# Audit",
        _extent(summary, audited),
        *_found(summary["findings"], audited),
        *_memory(summary["memory"]),
    ]
    return "\n\n".join(parts) + "\n"


def _extent(summary: Mapping[str, Any], audited: Sequence[int]) -> str:
    shown = ", ".join(map(str, audited[:6])) + (" ..." if len(audited) > 6 else "")
    return (
        f"{summary['steps']} steps were trained, {len(audited)} of them audited ({shown}), "
        f"{summary['skipped_steps']} skipped. {summary['rules_asked']} rules were checked; "
        f"{len(summary['findings'])} had findings."
    )


def _found(findings: Sequence[Mapping[str, Any]], audited: Sequence[int]) -> list[str]:
    if not findings and len(audited) < 2:
        return ["No findings, but almost no steps were audited."]
    if not findings:
        return ["No findings: every trained tensor has gradients and changes, and no frozen tensor "
                "has changed."]  # fmt: skip
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
        "The largest batch is not known: activations are recomputed, or were not measured."
        if batch is None
        else f"A micro-batch of about {batch:,} pairs would fit (train.batch_pairs)."
    )
    table = "\n".join(["| memory | MB |", "| --- | --- |", *rows])
    return ["## Memory", table, estimate]


def _kinds(memory: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the kinds of memory that were measured, with their names."""
    named = [(kind, name) for kind, name in KINDS.items() if kind in memory]
    return named + [(k, k) for k in memory if k not in KINDS and k != "largest_batch_pairs"]
