"""Faults that can be planted in a run of the built-in example, and what ought to find each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import TrainerCallback

from lmol.audit.parameters import audited_tensors
from lmol.experiments.bench.fault_runs import LONGER, Case, Fault, Plant
from lmol.model.features import CachedFeatures
from lmol.training.trainer import ComparisonTrainer


def _detach_projector(case: Case) -> None:
    project = case.comparer.project
    case.comparer.project = lambda features: project(features).detach()


def _freeze_lora(case: Case) -> None:
    for tensor in audited_tensors(case.comparer):
        if tensor.layer == 0:
            tensor.parameter.requires_grad_(False)


def _break_image(case: Case) -> None:
    assert isinstance(case.session.images, CachedFeatures)
    name = case.pairs["img1"].iloc[0]
    names = list(case.session.images)
    features = case.session.images.read(names).clone()
    features[names.index(name)] = torch.nan
    case.session = replace(case.session, images=CachedFeatures(names, features))


def _overflow(trainer: ComparisonTrainer, case: Case) -> None:
    """The scaler of fp16 on a CPU, which accelerate would not make; every step overflows."""
    accelerator: Any = trainer.accelerator
    accelerator.state._mixed_precision, accelerator.native_amp = "fp16", True
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, backoff_factor=0.9999)


def activation(kind: type[nn.Module], weight: float, bias: float) -> Plant:
    """The projector with another activation, and a first layer whose outputs are extreme."""

    def plant(case: Case) -> None:
        case.projector.act = kind()
        with torch.no_grad():
            case.projector.linear_1.weight.mul_(weight)
            case.projector.linear_1.bias.fill_(bias)

    return plant


def _mislabel(case: Case) -> None:
    exchanged = {"First": "Second", "Second": "First", "Similar": "Similar"}
    case.relabel(case.pairs["label"].map(exchanged))


def _shuffle(case: Case) -> None:
    labels = case.pairs["label"].to_numpy()
    case.relabel(np.random.default_rng(0).permutation(labels))


def _one_class(case: Case) -> None:
    pairs = case.pairs
    chosen = pairs[pairs["label"] == "First"]
    repeated = chosen.sample(len(pairs), replace=True, random_state=0).reset_index(drop=True)
    case.replace_pairs(repeated)


def _misplace(case: Case) -> None:
    """LoRA by bare names, as a hasty recipe would put it: it lands in the vision tower too."""
    base = case.comparer.adapted.unload()
    names = LoraConfig(
        r=8, target_modules=["q_proj", "v_proj"], modules_to_save=["multi_modal_projector"]
    )
    case.comparer.adapted = get_peft_model(base, names)


class During(TrainerCallback):
    """Does something at the beginning of some steps."""

    def __init__(self, steps: range, do: Callable[[Any], None]) -> None:
        self._steps, self._do = steps, do

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step in self._steps:
            self._do(kwargs)


def _write_frozen(case: Case) -> None:
    def write(kwargs: Any) -> None:
        with torch.no_grad():
            embeddings: Any = case.comparer.base.model.get_input_embeddings()
            embeddings.weight[0, 0] += 1.0

    case.callbacks.append(During(range(5, 6), write))


def _same_label_for_both(trainer: ComparisonTrainer, case: Case) -> None:
    collate: Any = trainer.data_collator

    def wrong(pairs: Any) -> dict[str, Tensor]:
        batch: dict[str, Tensor] = collate(pairs)
        return {**batch, "targets": batch["targets"][:, :1].expand(-1, 2, -1)}

    trainer.data_collator = wrong


def _burst(case: Case) -> None:
    """Learning rates that leap up a thousandfold in the middle of the run."""

    def leap(kwargs: Any) -> None:
        for group in kwargs["optimizer"].param_groups:
            group["lr"] = 4.0

    case.callbacks.append(During(range(90, 94), leap))


def _always_similar(trainer: ComparisonTrainer, case: Case) -> None:
    forward = case.comparer.answer_logits
    bias = torch.tensor([0.0, 0.0, 100.0])
    case.comparer.answer_logits = lambda images: forward(images) + bias


def _shuffle_scores(case: Case) -> None:
    """Images that carry the scores of others: nothing that is learnt carries over."""
    train = case.session.fold.split.train
    names = train["image"].to_numpy()
    other = dict(zip(names, np.random.default_rng(0).permutation(names), strict=True))
    pairs = case.pairs
    moved = pairs.assign(img1=pairs["img1"].map(other), img2=pairs["img2"].map(other))
    case.replace_pairs(moved)


FAULTS = (
    Fault(name="detached projector", rules=("missing_gradient",), plant=_detach_projector),
    Fault(name="LoRA of a layer frozen by mistake", rules=("frozen_adapter",), plant=_freeze_lora),
    Fault(
        name="learning rates x 1000",
        rules=("large_updates",),
        overrides=("optim.lr_lora=4", "optim.lr_projector=4"),
    ),
    Fault(
        name="learning rate of LoRA 0",
        rules=("zero_learning_rate",),
        overrides=("optim.lr_lora=0",),
    ),
    Fault(name="NaN in one image", rules=("non_finite_loss",), plant=_break_image),
    Fault(
        name="fp16 overflow",
        rules=("skipped_steps",),
        in_trainer=_overflow,
    ),
    Fault(name="dead ReLU", rules=("dead_relu",), plant=activation(nn.ReLU, 1.0, -100.0)),
    Fault(name="saturated tanh", rules=("saturated_tanh",), plant=activation(nn.Tanh, 1000.0, 0.0)),
    Fault(
        name="mislabelled answers (First and Second exchanged)",
        rules=("contradictory_labels",),
        plant=_mislabel,
    ),
    Fault(name="shuffled labels", rules=("contradictory_labels",), plant=_shuffle),
    Fault(
        name="shuffled labels, labels not checked",
        rules=("stalled_accuracy",),
        overrides=(*LONGER, "audit.rules.contradictory_labels.action=log"),
        plant=_shuffle,
    ),
    Fault(
        name="scores of other images",
        rules=("chance_validation",),
        overrides=LONGER,
        plant=_shuffle_scores,
    ),
    Fault(name="one-class data", rules=("one_class_data",), plant=_one_class),
    Fault(name="LoRA on the wrong modules", rules=("misplaced_adapter",), plant=_misplace),
    Fault(
        name="both orders with one label",
        rules=("contradictory_orders",),
        in_trainer=_same_label_for_both,
    ),
    Fault(
        name="something writes into the base",
        rules=("frozen_weights_changed",),
        plant=_write_frozen,
        since=6,
    ),
    Fault(
        name="learning rates leap up in mid-run",
        rules=("loss_spike",),
        overrides=LONGER,
        plant=_burst,
        since=91,
    ),
    Fault(
        name="one answer to everything",
        rules=("one_class_collapse", "dead_answer"),
        overrides=LONGER,
        in_trainer=_always_similar,
    ),
)
