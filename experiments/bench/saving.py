"""Cost of saving a training's state, and of continuing from it.

    python -m lmol.experiments.bench.saving [--json PATH]

save: seconds that one state takes, its size, and from these and the seconds of a step the share of
a whole run: a state at each validation, and every 15 minutes. resume: the wall seconds of a command
that train.max_minutes ends after its first step, and of one that continues it and is ended after
the next step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from lmol.config import load_config
from lmol.experiments.bench.audit_steps import large_comparer
from lmol.experiments.bench.fault_runs import Build, bench_session, default_model
from lmol.experiments.bench.report import Row, add_options, report
from lmol.runs.run_folder import RunFolder
from lmol.runs.state_folder import states_of
from lmol.workflow.fit import monitor_of, trainer_of
from lmol.workflow.validation import Validator

MINUTES = 15
"""Minutes between two states, beside those at validations: train.save_every."""

EXAMPLE, RECIPE = (1000, 6), (4218, 21)
"""Steps and validations of the built-in example's run, and of a fold of the SCUT recipe."""

TIMES = 3
"""Pairs of commands of which one continues the other."""

SMALL = ("data.source.num_images=60", "data.schedule.num_pairs=96", "train.batch_pairs=8")


class Timed(TrainerCallback):
    """Callback that measures steps, and saves a state after each of them."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.saves: list[float] = []
        self.trainer: Any = None
        self._begun = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._begun = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        now = time.perf_counter()
        self.steps.append(now - self._begun)
        self.trainer.saver.before_validation()
        self.trainer.saver.save(validation_due=False)
        self.saves.append(time.perf_counter() - now)


def saving(model: str, overrides: list[str], make: Build, run: tuple[int, int]) -> Row:
    """Return the row of a model: medians over some steps, and the share of a run.

    run: number of its optimizer steps and of its states beside those at intervals.
    """
    config, (num_steps, num_states) = load_config(*overrides), run
    with tempfile.TemporaryDirectory() as folder, RunFolder.claim(Path(folder), config) as opened:
        session = bench_session(config, opened, make)
        times = Timed()
        trainer = trainer_of(session, monitor_of(session), Validator(session), [times], saved=True)
        times.trainer = trainer
        trainer.train()
        size = sum(file.stat().st_size for file in states_of(Path(folder))[-1].iterdir())
    step, save = statistics.median(times.steps[1:]), statistics.median(times.saves[1:])
    seconds = num_steps * step
    states = num_states + seconds / (60 * MINUTES)
    return {
        "what": f"save, {model}",
        "step_s": step,
        "save_s": save,
        "state_mb": size / 1e6,
        "share_%": 100 * states * save / seconds,
    }


def resuming() -> Row:
    """Return the wall seconds of beginning and of continuing a run, one step each.

    Medians of TIMES pairs of commands, one after the other; more_s is the largest difference.
    """
    shared = ("train.max_minutes=1e-6", "tracking=off", "threads=1")
    begins, agains = [], []
    for _ in range(TIMES):
        with tempfile.TemporaryDirectory() as folder:
            begins.append(seconds_of(folder, *SMALL, *shared, "hydra.run.dir=run"))
            agains.append(seconds_of(folder, "resume=run", *shared))
            manifest = json.loads((Path(folder) / "run/manifest.json").read_text())
        assert len(manifest["attempts"]) == 1, "the second command continued the run"
    return {
        "what": "resume",
        "begin_s": statistics.median(begins),
        "resume_s": statistics.median(agains),
        "more_s": max(again - begin for begin, again in zip(begins, agains, strict=True)),
    }


def seconds_of(folder: str, *arguments: str) -> float:
    """Return the wall seconds of a command that ends with the exit code of a time limit."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "lmol.run", *arguments]
    ended = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert ended.returncode == 75, ended.stderr.decode()[-2000:]
    return time.perf_counter() - start


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "saving")
    arguments = parser.parse_args()
    large = [*SMALL[:1], "data.schedule.num_pairs=24", "train.batch_pairs=2", "audit=off"]
    tiny = ["data.source.num_images=100", "data.schedule.num_pairs=480", "threads=1"]
    rows = [
        saving("built-in example", tiny, default_model, EXAMPLE),
        saving("111 M", large, large_comparer, RECIPE),
        resuming(),
    ]
    report(rows, arguments, "what", ["save_s", "share_%", "more_s"])


if __name__ == "__main__":
    main()
