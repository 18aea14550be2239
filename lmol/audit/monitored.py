"""The training that a monitor observes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from lmol.config.schema import AuditConfig, OptimConfig, TrainConfig
from lmol.model.pair_model import PairModel


@dataclass(frozen=True, kw_only=True, eq=False)
class MonitoredTraining:
    """A model, its recipe and its pairs.

    explain: called after a non-finite loss; returns its cause in words, or "". every_step: audit
    each step (task=audit).
    """

    model: PairModel
    train: TrainConfig
    optim: OptimConfig
    audit: AuditConfig
    training_pairs: pd.DataFrame
    validation_pairs: pd.DataFrame
    theta: float
    explain: Callable[[], str] = lambda: ""
    every_step: bool = False
