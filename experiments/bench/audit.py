"""Cost and findings of the audit: overhead, planted faults, false alarms on healthy folds.

    python -m lmol.experiments.bench.audit --json rows.json

steps: the time that an audit adds to a step, within one run (audit_steps.py), and from it the share
of training for the default audit and for an audit at every step.
overhead: full trainings of the built-in example without audit, with the default audit, and with one
at every step, in turn; the result is the median ratio over the turns. Needs an idle machine.
faults: lmol.experiments.bench.faults. healthy: the built-in example's five folds.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from transformers import TrainerCallback

from lmol.config import Config, load_config
from lmol.experiments.bench.audit_steps import step_rows
from lmol.experiments.bench.fault_runs import (
    Build,
    bench_session,
    bench_trainer,
    default_model,
    found,
)
from lmol.experiments.bench.faults import FAULTS
from lmol.experiments.bench.report import Row, add_options, bars, save
from lmol.runs.run_folder import RunFolder

WAYS = {
    "off": ("audit=off",),
    "default": ("audit=default",),
    "interval=1": ("audit=default", "audit.interval=1"),
    "full, interval=1": ("audit=full", "audit.interval=1"),
}
PARTS = ("steps", "overhead", "faults", "healthy")


class AtRest(TrainerCallback):
    """Callback that stores the bytes of all live tensors after the audited step 2."""

    def __init__(self) -> None:
        self.bytes = 0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 2:
            gc.collect()
            self.bytes = live_bytes()


def live_bytes() -> int:
    """Return the bytes of all tensors that Python knows; on CUDA, the allocated bytes."""
    if torch.cuda.is_available():
        return int(torch.cuda.memory_allocated())
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for tensor in gc.get_objects()
        if issubclass(type(tensor), torch.Tensor)  # isinstance would import lazy modules
    }
    return sum(storages.values())


def train_once(config: Config, make: Build, folder: Path) -> tuple[float, int]:
    """Return the seconds of training, pictures, tables and summary included; and bytes at rest."""
    rest = AtRest()
    session = bench_session(config, RunFolder(folder, {}, debug=False), make)
    trainer, monitor = bench_trainer(session, rest)
    start = time.monotonic()
    trainer.train()
    monitor.close()
    return time.monotonic() - start, rest.bytes


def overhead(
    model: str, overrides: tuple[str, ...], make: Build, ways: list[str], turns: int
) -> list[Row]:
    """Return a row per way: seconds, and the excess in % over the first way, no audit."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    at_rest: dict[str, int] = {}
    for turn in range(turns + 1):
        for way in ways:
            config = load_config(*overrides, *WAYS[way])
            with tempfile.TemporaryDirectory() as folder:
                taken, at_rest[way] = train_once(config, make, Path(folder))
            if turn > 0:  # the first turn is a warm-up
                seconds[way].append(taken)
    return [
        {
            "model": model,
            "audit": way,
            "seconds": statistics.median(taken),
            "overhead_%": 100 * statistics.median(_ratios(taken, seconds[ways[0]])) - 100,
            "worst_turn_%": 100 * max(_ratios(taken, seconds[ways[0]])) - 100,
            "at_rest_%": 100 * at_rest[way] / at_rest[ways[0]] - 100,
        }
        for way, taken in seconds.items()
    ]


def _ratios(taken: list[float], without: list[float]) -> list[float]:
    return [a / b for a, b in zip(taken, without, strict=True)]


def fault_rows() -> list[Row]:
    """Return a row per planted fault: the rules that found it, after how many steps, and others."""
    rows = []
    for fault in FAULTS:
        result = found(fault)
        right = [rule for rule in fault.rules if rule in result["findings"]]
        first = [result["findings"][rule]["first_step"] for rule in right]
        rows.append(
            {
                "fault": fault.name,
                "found_by": ", ".join(right) or "MISSED",
                "after_steps": _faulty_steps(min(first), fault.since) if first else None,
                "run": result["ended"],
                "also": ", ".join(rule for rule in result["findings"] if rule not in fault.rules),
            }
        )
    return rows


def _faulty_steps(found_at: int, since: int) -> int:
    """Return the number of steps taken with the fault; 0 if it was found before the first."""
    return 0 if found_at == 0 else found_at - max(since, 1) + 1


def healthy_rows() -> list[Row]:
    """Return the findings by severity of each fold, with an audit every 20 steps."""
    rows = []
    for fold in range(1, 6):
        config = load_config(f"fold={fold}", "audit.interval=20")
        with tempfile.TemporaryDirectory() as name:
            session = bench_session(config, RunFolder(Path(name), {}, debug=False))
            trainer, monitor = bench_trainer(session)
            trainer.train()
            findings = monitor.close()["findings"]
        counts = {
            s: sum(f["severity"] == s for f in findings) for s in ("info", "warning", "error")
        }
        rows.append({"fold": fold, **counts, "rules": ", ".join(f["rule"] for f in findings)})
    return rows


def main() -> None:
    """Measure the chosen parts, print their tables and draw the cost of the steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--turns", type=int, default=3)
    add_options(parser, "audit")
    arguments = parser.parse_args()
    measures: dict[str, Callable[[], list[Row]]] = {
        "overhead": lambda: overhead(
            "built-in example", ("threads=1",), default_model, list(WAYS), arguments.turns
        ),
        "steps": step_rows,
        "faults": fault_rows,
        "healthy": healthy_rows,
    }
    rows, figure = {}, None
    for part in arguments.parts:
        rows[part] = measures[part]()
        table = pd.DataFrame(rows[part])
        print(f"\n{part}\n{table.to_string(index=False, float_format='{:.2f}'.format)}", flush=True)
        if part == "steps":
            figure = bars(table, "model", ["default_%", "interval=1_%"])
    save(rows, figure, arguments)


if __name__ == "__main__":
    main()
