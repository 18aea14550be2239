"""Rules that are applied before the first step, to the model and the training pairs."""

from __future__ import annotations

from collections.abc import Iterator

from lmol.audit.monitored import MonitoredTraining
from lmol.audit.tensor_rules import Observation
from lmol.data.pairs_table import WEIGHT
from lmol.model.names import LANGUAGE_MODEL, PROJECTOR, adapter_names, short_name
from lmol.verdict import TITLES, label_pairs


def frozen_adapter(training: MonitoredTraining, threshold: float) -> Iterator[Observation]:
    """Report adapter tensors that exist but would not be trained."""
    names = adapter_names(training.model)
    parameters = dict(training.model.named_parameters())
    frozen = [name for name in names if not parameters[name].requires_grad]
    if len(frozen) > threshold:
        message = f"{len(frozen)} of {len(names)} adapter tensors are frozen"
        yield message, tuple(map(short_name, frozen))


def misplaced_adapter(training: MonitoredTraining, threshold: float) -> Iterator[Observation]:
    """Report LoRA on modules outside the language model, such as those of the vision tower."""
    lora = [name for name in adapter_names(training.model) if not PROJECTOR.search(name)]
    outside = [name for name in lora if not LANGUAGE_MODEL.search(name)]
    if len(outside) > threshold:
        message = f"{len(outside)} of {len(lora)} LoRA tensors are outside the language model"
        yield message, tuple(map(short_name, outside))


def one_class_data(training: MonitoredTraining, threshold: float) -> Iterator[Observation]:
    """Report training pairs that nearly all have one label."""
    shares = training.training_pairs["label"].value_counts(normalize=True)
    if shares.iloc[0] > threshold:
        yield f"{shares.iloc[0]:.1%} of the training pairs are {shares.index[0]}", ()


def contradictory_labels(training: MonitoredTraining, threshold: float) -> Iterator[Observation]:
    """Report labels that contradict the scores beside them; votes may differ from scores."""
    pairs = training.training_pairs
    if "score1" not in pairs or WEIGHT in pairs:
        return
    labels = pairs["label"].map(TITLES.index).to_numpy()
    wrong = int((labels != label_pairs(pairs["score1"], pairs["score2"], training.theta)).sum())
    if wrong > threshold * len(pairs):
        yield (
            f"{wrong} of {len(pairs)} training pairs have a label that contradicts their scores",
            (),
        )
