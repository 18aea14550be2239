"""The validation pairs of a session: judged once for each state of the weights."""

from __future__ import annotations

import pandas as pd

from lmol.evaluation.judge import judge
from lmol.evaluation.metric import Shown
from lmol.evaluation.metrics import classification_metrics, correlation_metrics, shown_in
from lmol.evaluation.ranked import Validation, rank_pairs
from lmol.training.comparable import comparable_cross_entropy
from lmol.verdict import Verdict
from lmol.workflow.session import Session

BY_CLASS = tuple(f"accuracy_{verdict.name.lower()}" for verdict in Verdict)
"""Also recorded at every validation, for the classes among its labels."""


class Validator:
    """Judge of the validation pairs, which keeps the answers of each step."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._judged: dict[int, Validation] = {}

    def answers(self, step: int) -> Validation:
        """Return the answers of the weights of a step, which must be loaded."""
        if step not in self._judged:
            self._judged[step] = judge_validation(self._session)
        return self._judged[step]

    def metrics(self, step: int) -> dict[str, float]:
        """Return the metrics that choose `best` and stop early, on images not trained on."""
        config, fold = self._session.config, self._session.fold
        probabilities = self.answers(step).probabilities
        pairs, images = fold.validation_pairs, fold.split.validation
        metrics = classification_metrics(pairs["label"], probabilities)
        if "score" in images:
            ranked = rank_pairs(images["image"], pairs, probabilities, config.ranking.virtual_ties)
            scores = images["score"].to_numpy()
            metrics |= correlation_metrics(scores, ranked.strengths, None)
        by_class = {name: value for name in BY_CLASS if (value := metrics[name]) is not None}
        comparable = comparable_cross_entropy(
            probabilities, pairs, fold.training_pairs, config.train.loss
        )
        shown = [metric.key for metric in shown_in(Shown.VALIDATION)]
        # A correlation is not defined for a judge that gives no order: 0, as by chance.
        known = {key: float(metrics[key] or 0.0) for key in shown if key in metrics}
        return known | by_class | {"comparable_cross_entropy": comparable}


def judge_validation(session: Session) -> Validation:
    """Judge the validation pairs, to which the score scale and the temperature are fitted."""
    fold, judging = session.fold, session.config.eval
    known = pd.concat([fold.split.train, fold.split.validation])
    return Validation(
        pairs=fold.validation_pairs,
        probabilities=judge(
            session.model,
            fold.validation_pairs,
            session.images,
            judging.batch_pairs,
            memory_gb=judging.memory_gb,
        ),
        mean_score=float(known["score"].mean()) if "score" in known else None,
    )
