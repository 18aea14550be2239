"""A transformers Trainer that classifies pairs: our loss, our optimizer groups, our checkpoints."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, TrainerCallback

from lmol.audit.health import early_stopping
from lmol.audit.monitor import Monitor
from lmol.audit.signals import values
from lmol.errors import CheckpointError
from lmol.model.checkpoint import save_checkpoint
from lmol.model.pair_model import PairModel
from lmol.system.distributed import process_state
from lmol.system.signals import SIGNALS_OF_PROCESS, Stopped, let_through
from lmol.training.arguments import TrainerSettings, TrainingData, training_arguments
from lmol.training.callbacks import LastRecord, OwnDropout, WholeSteps
from lmol.training.losses import PairTargets, needs_swapped_order, pair_loss
from lmol.training.optim import build_optimizer, build_scheduler, learning_rates
from lmol.training.restoring import Restoring
from lmol.training.resuming import ResumingTrainer
from lmol.training.saving import StateSaver
from lmol.training.workers import for_workers, guarded

log = logging.getLogger(__name__)

TARGETS = ("targets", "weights")
"""Keys of a batch that are not images."""

NOT_USED: Any = ()
"""Placeholder for the validation set that the Trainer requires; `validate` is used instead."""


class ComparisonTrainer(ResumingTrainer):
    """Trainer of a PairModel on pairs; it validates on other images of the training fold.

    The folder receives `last` at each validation, and `best` whenever the metric is a new best.
    """

    _announced = False
    loss_is_scaled_for_ga = False
    """Our loss is a mean over the micro-batch: the Trainer divides it by the accumulation steps."""

    def __init__(
        self,
        *,
        model: PairModel,
        settings: TrainerSettings,
        data: TrainingData,
        monitor: Monitor,
        callbacks: list[TrainerCallback],
    ) -> None:
        self._config, self.settings = settings.train, settings
        self.folder, self.pair_model, self.data = settings.folder, model, data
        self.monitor, self.logged = monitor, 0
        self._both_orders = needs_swapped_order(self._config.loss)
        self._rates: dict[str, float] = {}
        self.steps = WholeSteps()
        dataset, collator = for_workers(data.dataset, data.collator, self._config)
        super().__init__(
            model=model,
            args=training_arguments(settings),
            data_collator=collator,
            train_dataset=dataset,
            eval_dataset=NOT_USED,
            callbacks=[
                self.steps,
                OwnDropout(),
                LastRecord(),
                *callbacks,
                *monitor.callbacks,
                *early_stopping(self._config.early_stopping),
                Restoring(self),
            ],
        )
        self.saver = StateSaver(self)
        self.remove_callback(PrinterCallback)  # it prints every record as a dictionary

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the scalar loss of a micro-batch, in nats."""
        images = {key: value for key, value in inputs.items() if key not in TARGETS}
        with self.monitor.forward():
            logits = model(**images, both_orders=self._both_orders)
        targets = PairTargets(shares=inputs["targets"], weights=inputs["weights"])
        progress = self.state.global_step / max(self.state.max_steps, 1)
        terms = pair_loss(logits, targets, self._config.loss, progress)
        parts = (terms.total, terms.cross_entropy, terms.consistency)
        self.monitor.sums.add(parts, logits, targets.labels[:, : logits.shape[1]])
        self._rates = learning_rates(self.optimizer) if self.optimizer else {}
        return (terms.total, logits) if return_outputs else terms.total

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the stock loader; lmol.training.workers starts its workers and limits the wait.

        An LmolError in a worker is raised here as the same error.
        """
        return guarded(super().get_train_dataloader())

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """Run a micro-batch's forward and backward pass; return its loss, scaled for accumulation.

        A loss that is not finite counts as 0 in the Trainer's running sum, which would otherwise
        stay non-finite; the records get it from the signals.
        """
        loss = super().training_step(*args, **kwargs)
        if SIGNALS_OF_PROCESS.pending and not self._announced:
            self._announced = True
            log.info("Ending after this step; another signal ends the run at once")
        if self.accelerator.sync_gradients:
            self.monitor.backward_done()
        return torch.nan_to_num(loss, nan=0.0, posinf=0.0, neginf=0.0)

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        """Store the norm before clipping, with which the Trainer calls this after clipping."""
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        self.monitor.sums.grad_norm = norm
        return norm

    def create_optimizer(self, model: nn.Module | None = None) -> AdamW:
        """Return AdamW with the named groups of lmol.training.optim."""
        if self.optimizer is None:
            self.optimizer = build_optimizer(self.pair_model, self.settings.optim)
        return cast(AdamW, self.optimizer)

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> LambdaLR:
        """Return the schedule of lmol.training.optim."""
        if self.lr_scheduler is None:
            chosen = optimizer or self.create_optimizer()
            self.lr_scheduler = build_scheduler(chosen, num_training_steps, self.settings.optim)
        return self.lr_scheduler

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the loss terms, accuracy and each group's learning rate to a training record."""
        if "loss" in logs:
            logs.pop("learning_rate", None)
            logs.update(self._means())
            logs.update({f"lr_{name}": rate for name, rate in self._rates.items()})
        super().log(logs, start_time)

    def _means(self) -> dict[str, float]:
        """Return the mean loss terms (nats) and accuracy of the steps since the last record."""
        steps = self.monitor.history.steps[self.logged :]
        self.logged += len(steps)
        names = ("loss", "cross_entropy", "consistency", "accuracy")
        return {name: float(values(steps, name).mean()) for name in names}

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluate the validation pairs, never the held-out fold."""
        self.saver.before_validation()
        try:
            with let_through():
                validated = self.data.validate(self.state.global_step)
        except Stopped:
            self.saver.save(validation_due=True)
            raise
        metrics = {f"eval_{name}": value for name, value in validated.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        """Do the stock work at the end of a step or an epoch, then save the state if it is due."""
        validated = self.control.should_evaluate
        super()._maybe_log_save_evaluate(*args, **kwargs)
        self.saver.end_of_step(validated=validated)

    def validate_again(self) -> None:
        """Do the validation that the continued training was interrupted in."""
        self.control.should_evaluate = True
        self._maybe_log_save_evaluate(self._tr_loss, None, self.model, None, 0, None, 0.0)

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        """Return True for a new best; before `best_from`, at a high learning rate, it is chance."""
        early = self.state.global_step < self._config.best_from * self.state.max_steps
        better = not early and bool(super()._determine_best_metric(metrics, trial))
        self.keep_last()
        return better

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save `best`; the Trainer calls this whenever the validation metric is a new best."""
        self.save_as("best")

    def keep_last(self) -> None:
        """Replace `last` by the present weights, if they are trained, finite and of a whole step.

        The other processes of torchrun do not wait: they read `last` only at the end.
        """
        if self.args.should_save and self.steps.whole and self.state.global_step > 0:
            with suppress(CheckpointError):  # not finite: the older `last` is more useful
                save_checkpoint(self.pair_model, self.folder / "last", self.metadata())

    def save_last_good(self) -> bool:
        """Restore the last good weights and save them as `last`.

        Return False if there are no trained ones.
        """
        good = self.monitor.interventions.last_good
        if good.step == 0:
            return False
        good.restore(self.pair_model)
        self.state.global_step, self.state.epoch = good.step, good.epoch
        self.save_as("last")
        return True

    def save_as(self, kind: str) -> None:
        """Save the checkpoint `best` or `last` in one process; all may read it then."""
        if self.args.should_save:
            save_checkpoint(self.pair_model, self.folder / kind, self.metadata())
        process_state().wait_for_everyone()

    def metadata(self) -> dict[str, Any]:
        """Return the metadata of the present weights for meta.json."""
        return {
            "step": self.state.global_step,
            "epoch": self.state.epoch,
            "metric": self._config.metric.value,
            "best_value": self.state.best_metric,
        }
