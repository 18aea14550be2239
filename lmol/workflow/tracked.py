"""What a tracker is told of a held-out fold: the numbers, and what they are made of, to look at."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lmol.evaluation.metrics import confusion_table
from lmol.tracking.tracker import Tracker
from lmol.workflow.held_out import Conclusion

PLOTS = ("confusion", "ranking", "accuracy_by_gap", "reliability")
"""Of those in plots/ of a run folder."""


def tell_conclusion(
    tracker: Tracker,
    step: int,
    conclusion: Conclusion,
    held_out: pd.DataFrame,
    folder: Path,
    seconds: dict[str, float],
    prefix: str = "",
) -> None:
    """Metrics as summary; confusion matrix, ranking and hardest pairs as tables and pictures.

    step: of the weights that judged; held_out: the score table; folder: where the results are
    saved; prefix: of all names, such as fold_2/.
    """
    metrics = {f"{prefix}{name}": value for name, value in conclusion.metrics.items()}
    tracker.summary(metrics | {f"{prefix}{name}": value for name, value in seconds.items()})
    place = f"{prefix}held_out"
    predictions = conclusion.predictions
    confusion = confusion_table(predictions["label"], predictions["pred"]).reset_index()
    hardest = conclusion.diagnosis.tables["hardest_pairs"]
    tracker.table(f"{place}/confusion_table", step, _columns(confusion))
    tracker.table(f"{place}/ranking_table", step, _columns(conclusion.ranking))
    tracker.table(f"{place}/hardest_pairs", step, _with_pictures(hardest, held_out))
    for name in PLOTS:
        tracker.image(f"{place}/{name}", step, folder / "plots" / f"{name}.png")


def _columns(table: pd.DataFrame) -> dict[str, list[object]]:
    return {str(name): list(table[name]) for name in table}


def _with_pictures(pairs: pd.DataFrame, held_out: pd.DataFrame) -> dict[str, list[object]]:
    """The table of hardest pairs with the pictures of both images before the rest."""
    paths = held_out.set_index("image")["path"].map(Path)
    pictures = {f"picture{side}": list(paths.reindex(pairs[f"img{side}"])) for side in (1, 2)}
    return pictures | _columns(pairs)
