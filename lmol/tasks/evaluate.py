"""task=evaluate: judge the held-out fold of a finished run again, or all folds of a sweep."""

from __future__ import annotations

from lmol.config import Config
from lmol.model.device import require_device
from lmol.runs.past_runs import find_runs
from lmol.runs.run_folder import RunFolder
from lmol.tracking.opening import open_tracker
from lmol.workflow.overall import save_overall
from lmol.workflow.past_fold import evaluate_past_fold


def run(config: Config, run: RunFolder) -> float:
    """Evaluate, and return the accuracy, the mean over several folds."""
    require_device(config)
    runs = find_runs(config.run, None)
    run.note(run=config.run, checkpoint=config.checkpoint.value, folds=[past.fold for past in runs])
    parts = {past.fold: run.part(f"fold_{past.fold}") for past in runs} if len(runs) > 1 else {}
    with open_tracker(config, run) as tracker:
        results = [
            evaluate_past_fold(config, past, run, tracker, parts.get(past.fold)) for past in runs
        ]
    if parts and run.writes:
        save_overall(run, parts)
    return sum(float(result.metrics["accuracy"] or 0.0) for result in results) / len(results)
