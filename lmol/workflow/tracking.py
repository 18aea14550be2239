"""Send the result of a held-out fold to a tracker: numbers, tables and pictures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lmol.tracking.tracker import Tracker
from lmol.workflow.evaluation import EvaluationResult

PLOTS = ("confusion", "ranking", "accuracy_by_gap", "reliability")
"""Pictures in plots/ of a run folder that are sent if they exist."""


def track_result(
    tracker: Tracker,
    result: EvaluationResult,
    folder: Path,
    seconds: dict[str, float],
    prefix: str = "",
) -> None:
    """Send metrics as summary; confusion matrix, ranking and hardest pairs as tables and pictures.

    folder: the folder of the results; prefix: of all names, such as fold_2/.
    """
    metrics = {f"{prefix}{name}": value for name, value in result.metrics.items()}
    tracker.summary(metrics | {f"{prefix}{name}": value for name, value in seconds.items()})
    place, step = f"{prefix}held_out", result.step
    hardest = _with_pictures(result.diagnosis.tables["hardest_pairs"], result.images)
    tracker.table(f"{place}/confusion_table", step, _columns(result.confusion().reset_index()))
    tracker.table(f"{place}/ranking_table", step, _columns(result.ranking))
    tracker.table(f"{place}/hardest_pairs", step, hardest)
    for name in PLOTS:
        picture = folder / "plots" / f"{name}.png"
        if picture.is_file():
            tracker.image(f"{place}/{name}", step, picture)


def _columns(table: pd.DataFrame) -> dict[str, list[object]]:
    return {str(name): list(table[name]) for name in table}


def _with_pictures(pairs: pd.DataFrame, held_out: pd.DataFrame) -> dict[str, list[object]]:
    """Return the columns of the hardest pairs, after those of the pictures of both images."""
    paths = held_out.set_index("image")["path"].map(Path)
    pictures = {f"picture{side}": list(paths.reindex(pairs[f"img{side}"])) for side in (1, 2)}
    return pictures | _columns(pairs)
