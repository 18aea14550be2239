"""Health acts: a step is left out, rates are lowered, weights go back, or the run ends whole."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from lmol.audit.health_rules import (
    AT_ONCE,
    Course,
    Validated,
    gradient_explosion,
    gradient_norm_high,
    loss_spike,
    overfitting,
    rising_validation_loss,
)
from lmol.audit.interventions import LastGood
from lmol.audit.signals import History
from lmol.config.rules import SEEN_BEFORE_THE_STEP
from lmol.config.schema import Action
from lmol.errors import CheckpointError, HealthError
from lmol.model.checkpoint import save_checkpoint
from tests.audit.test_signals import signals
from tests.tiny import build_tiny
from tests.training.parts import SHOWN, TRAIN, monitor_of, state_of, trainer_of

COURSE = Course(num_steps=200, warmup_steps=20, window=16, scaled=False)


def with_actions(**actions: Action):
    """The training configuration with other actions for rules of health."""
    rules = TRAIN.health.rules
    changed = {name: replace(getattr(rules, name), action=a) for name, a in actions.items()}
    return replace(TRAIN, health=replace(TRAIN.health, rules=replace(rules, **changed)))


class Spoil:
    """Makes the gradients of some steps infinite; remembers the weights before every step."""

    def __init__(self, comparer, steps):
        self.comparer, self.steps, self.step, self.states = comparer, steps, 0, []
        for parameter in comparer.parameters():
            if parameter.requires_grad:
                parameter.register_hook(lambda g: g * torch.inf if self.step in steps else g)
        comparer.register_forward_pre_hook(self._next)

    def _next(self, *args):
        if self.comparer.training:
            self.step += 1
            self.states.append(trained(self.comparer))


def trained(comparer):
    return {n: p.detach().clone() for n, p in comparer.named_parameters() if p.requires_grad}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def spoiled_run(data, folder, action, steps=(2,), **options):
    comparer = build_tiny()
    spoil = Spoil(comparer, steps)
    config = replace(with_actions(non_finite_gradient=action), **options)
    monitor = monitor_of(comparer, data[1], folder, config=config)
    trainer = trainer_of(comparer, data, folder, config, monitor=monitor)
    return trainer, spoil, monitor


def test_a_step_that_is_left_out_changes_nothing(data, tmp_path):
    trainer, spoil, monitor = spoiled_run(data, tmp_path, Action.SKIP_STEP)
    trainer.train()
    before, after_one, after_two = spoil.states
    assert not same(before, after_one)
    assert same(after_one, after_two)
    assert not same(after_two, trained(spoil.comparer))
    assert monitor.history.skipped == {2}
    [entry] = monitor.findings.as_list()
    assert entry["actions"] == ["step 2: skipped the step"]


def test_the_number_of_skipped_steps_in_a_row_is_limited(data, tmp_path):
    steps = range(2, 100)
    trainer, spoil, _ = spoiled_run(data, tmp_path, Action.SKIP_STEP, steps, epochs=4)
    with pytest.raises(HealthError, match="3 steps in a row were skipped"):
        trainer.train()
    assert spoil.step == 5
    assert same(spoil.states[1], trained(spoil.comparer))


def test_a_rollback_returns_to_the_last_validated_weights_and_learns_more_slowly(data, tmp_path):
    options = {"epochs": 4, "validate_every": 1 / 3}  # 12 steps, validated after the 4th and 8th
    trainer, spoil, monitor = spoiled_run(data, tmp_path, Action.ROLLBACK, (7,), **options)
    rates: list[float] = []
    spoil.comparer.register_forward_pre_hook(
        lambda *_: (
            rates.append(trainer.optimizer.param_groups[0]["lr"])
            if spoil.comparer.training
            else None
        )
    )
    trainer.train()
    assert same(spoil.states[7], spoil.states[4])  # before step 8: as before step 5
    assert rates[7] == pytest.approx(
        0.3 * rates[6] * share(trainer, 7) / share(trainer, 6), rel=1e-6
    )
    [entry] = monitor.findings.as_list()
    assert entry["actions"] == ["step 7: rolled back to step 4, learning rates times 0.3"]


def share(trainer, step):
    return trainer.lr_scheduler.lr_lambdas[0](step)


def test_the_number_of_interventions_is_limited(data, tmp_path):
    trainer, spoil, _ = spoiled_run(data, tmp_path, Action.LOWER_LR, (2, 3, 4, 5), epochs=4)
    with pytest.raises(HealthError, match="after 3 interventions"):
        trainer.train()
    assert spoil.step == 5


def test_a_stopped_run_leaves_the_last_good_weights(data, tmp_path):
    options = {"epochs": 4, "validate_every": 1 / 3}
    trainer, spoil, _ = spoiled_run(data, tmp_path, Action.STOP, (7,), **options)
    with pytest.raises(HealthError, match="non_finite_gradient") as stopped:
        trainer.train()
    assert stopped.value.status == "failed: health"
    assert trainer.save_last_good()
    assert same(spoil.states[4], trained(spoil.comparer))
    assert '"step": 4' in (tmp_path / "last" / "meta.json").read_text()


def test_without_a_good_step_no_checkpoint_is_left(data, tmp_path):
    trainer, _, _ = spoiled_run(data, tmp_path, Action.STOP, (1,))
    with pytest.raises(HealthError):
        trainer.train()
    assert not trainer.save_last_good()
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_is_not_finite_is_written(comparer, tmp_path):
    with torch.no_grad():
        comparer.adapted.base_model.model.model.multi_modal_projector.modules_to_save[
            "default"
        ].linear_1.weight[0, 0] = torch.inf
    with pytest.raises(CheckpointError, match="not finite"):
        save_checkpoint(comparer, tmp_path / "last", {})
    assert list(tmp_path.iterdir()) == []
    good = LastGood()
    assert not good.take(comparer, torch.optim.SGD([torch.zeros(1)]), 3, 0.5)
    assert good.weights == {}


def test_the_last_good_state_holds_weights_and_moments(data, tmp_path):
    trainer, _, monitor = spoiled_run(data, tmp_path, Action.STOP, ())
    trainer.train()
    good, optimizer = monitor.interventions.last_good, trainer.optimizer
    comparer = trainer.model
    weights, state = trained(comparer), optimizer.state_dict()
    good.take(comparer, optimizer, 3, 1.0)
    moments = [v["exp_avg"].clone() for v in state["state"].values()]
    with torch.no_grad():
        for parameter in comparer.parameters():
            if parameter.requires_grad:
                parameter.add_(1.0)
        for values in optimizer.state.values():
            values["exp_avg"].fill_(9.0)
    optimizer.param_groups[0]["lr"] = 0.123
    good.restore(comparer, optimizer)
    assert same(weights, trained(comparer))
    restored = [v["exp_avg"] for v in optimizer.state_dict()["state"].values()]
    assert all(torch.equal(a, b) for a, b in zip(moments, restored, strict=True))
    assert optimizer.param_groups[0]["lr"] == 0.123


@pytest.mark.parametrize(
    ("audit", "recompute"),
    [
        (("audit=full", "audit.interval=1"), False),
        (("audit=full", "audit.interval=1"), True),
        (("audit=default",), False),
    ],
)
def test_audited_and_unaudited_runs_end_in_the_same_bits(data, tmp_path, audit, recompute):
    ends = []
    for name, wanted in (("plain", ("audit=off",)), ("audited", audit)):
        torch.manual_seed(0)
        comparer = build_tiny(dropout=0.1)
        if recompute:
            comparer.enable_activation_checkpointing()
        config = replace(TRAIN, epochs=2, accumulation=2, batch_pairs=4)
        monitor = monitor_of(comparer, data[1], tmp_path / name, config=config, audit=wanted)
        trainer_of(comparer, data, tmp_path / name, config, monitor=monitor).train()
        monitor.close()
        ends.append(state_of(comparer))
    assert same(*ends)
    assert (tmp_path / "audited/audit/grad_table_step_1.csv").is_file()
    assert not (tmp_path / "plain/audit").exists()


def test_hooks_are_gone_when_a_step_fails(data, tmp_path, monkeypatch):
    comparer = build_tiny()
    monitor = monitor_of(comparer, data[1], tmp_path, audit=("audit=full",))
    trainer = trainer_of(comparer, data, tmp_path, monitor=monitor)

    def fail(images):
        raise ZeroDivisionError

    before = sum(len(module._forward_hooks) for module in comparer.modules())
    monkeypatch.setattr(comparer, "answer_logits", fail)
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    assert sum(len(module._forward_hooks) for module in comparer.modules()) == before


def losses(*values: float) -> History:
    history = History()
    for step, loss in enumerate(values, start=1):
        history.steps.append(signals(step, loss=loss))
    return history


def test_a_single_bad_batch_is_no_spike_and_five_are():
    calm = [1.0 + 0.01 * (step % 5) for step in range(30)]
    assert loss_spike(losses(*calm, 9.0), COURSE, 20) is None
    spiked = loss_spike(losses(*calm, 9.0, 9.0, 9.0), COURSE, 20)
    assert spiked is not None
    assert "rose from 1.02 to 9" in spiked
    assert loss_spike(losses(*calm, *[float("nan")] * 2), COURSE, 20) is None


def validated(*numbers: tuple[float, float]) -> list[Validated]:
    """Validations with these numbers of validation and training, as accuracy and as entropy."""
    return [
        Validated(step=step, accuracy=v, training=t, entropy=v, training_entropy=t)
        for step, (v, t) in enumerate(numbers, start=1)
    ]


@pytest.mark.parametrize(
    ("course", "found"),
    [
        ([(0.8, 0.5), (0.7, 0.6), (0.7, 0.7), (0.6, 0.8)], True),
        ([(0.8, 0.5), (0.7, 0.6), (0.79, 0.7), (0.6, 0.8)], False),  # not three in a row
        ([(0.8, 0.9), (0.7, 0.8), (0.7, 0.7), (0.6, 0.6)], False),  # training got worse too
        ([(0.8, 0.5), (0.7, 0.6), (0.6, 0.7)], False),
    ],
)
def test_overfitting_is_a_trend_while_training_improves(course, found):
    message = overfitting(validated(*course), 0.4, COURSE, 0.03)
    assert (message is not None) == found


@pytest.mark.parametrize(
    ("course", "found"),
    [
        ([(0.52, 0.5), (0.6, 0.4), (0.61, 0.3), (0.6, 0.2)], True),
        ([(0.52, 0.5), (0.6, 0.4), (0.55, 0.3), (0.6, 0.2)], False),  # not three in a row
        ([(0.52, 0.3), (0.6, 0.4), (0.61, 0.4), (0.6, 0.4)], False),  # training rose too
        ([(0.52, 0.5), (0.6, 0.4), (0.61, 0.3)], False),
    ],
)
def test_a_rising_validation_loss_is_a_trend_while_training_s_falls(course, found):
    message = rising_validation_loss(validated(*course), 0.4, COURSE, 0.1)
    assert (message is not None) == found


def test_a_step_that_is_left_out_does_not_spoil_a_validation_interval(data, tmp_path):
    options = {"epochs": 4, "validate_every": 1 / 3}
    trainer, _, monitor = spoiled_run(data, tmp_path, Action.SKIP_STEP, (2, 6, 10), **options)
    trainer.train()
    assert monitor.interventions.last_good.step == 12


def test_gradients_that_stay_large_are_clipped_and_used(data, tmp_path):
    comparer = build_tiny()
    config = replace(TRAIN, epochs=10)
    monitor = monitor_of(comparer, data[1], tmp_path, config=config)
    trainer = trainer_of(comparer, data, tmp_path, config, monitor=monitor)
    factor = {"now": 1.0}
    for parameter in comparer.parameters():
        if parameter.requires_grad:
            parameter.register_hook(lambda g: g * factor["now"])
    comparer.register_forward_pre_hook(
        lambda *_: factor.update(now=1e5 if trainer.state.global_step >= 20 else 1.0)
    )
    trainer.train()
    assert trainer.state.global_step == 30
    assert monitor.history.skipped == {21, 22, 23}
    entry = monitor.findings.entries["gradient_explosion"]
    assert entry.actions[-1].startswith("step 24: took the step")


def test_a_rollback_at_a_validation_leaves_the_validated_weights_in_best(data, tmp_path):
    config = with_actions(chance_validation=Action.ROLLBACK)
    health = replace(config.health, window=16)
    config = replace(config, epochs=8, validate_every=1 / 4, health=health)
    comparer, seen = build_tiny(), []

    def validate(step):
        seen.append(trained(comparer))
        return {**dict.fromkeys(SHOWN, 0.5), "accuracy": 0.1 + 0.01 * len(seen)}

    monitor = monitor_of(comparer, data[1], tmp_path, config=config)
    trainer = trainer_of(comparer, data, tmp_path, config, validate, monitor=monitor)
    trainer.train()
    assert "chance_validation" in monitor.findings.entries  # at steps 18 and 24 of 24
    best = load_file(tmp_path / "best" / "adapter_model.safetensors")
    key = next(name for name in best if "linear_1.weight" in name)
    projector = next(t for name, t in seen[3].items() if "linear_1.weight" in name)
    assert torch.equal(best[key], projector)


def test_what_is_not_finite_is_named(data, tmp_path):
    comparer = build_tiny()
    tensor = next(n for n, p in comparer.named_parameters() if "1.self_attn.v_proj.lora_B" in n)
    dict(comparer.named_parameters())[tensor].register_hook(lambda gradient: gradient * torch.nan)
    with pytest.raises(
        HealthError, match=r"1 gradient.*the first of layers\.1\.self_attn\.v_proj\.lora_B"
    ):
        trainer_of(comparer, data, tmp_path).train()


def norms(*found: float) -> History:
    history = History()
    for step, norm in enumerate(found, start=1):
        history.steps.append(signals(step, grad_norm=norm))
    return history


def test_one_norm_that_is_not_finite_does_not_blind_the_window():
    nan = float("nan")
    assert gradient_explosion(norms(180.0, nan, 170.0, 205.0), COURSE, 200) is None
    assert gradient_explosion(norms(1.0, nan, 2.0, 205.0), COURSE, 200) is not None
    assert gradient_norm_high(norms(*[50.0] * 15, nan), COURSE, 30) is not None


def test_rules_that_may_leave_a_step_out_are_asked_at_each_step_before_it():
    assert set(SEEN_BEFORE_THE_STEP) == set(AT_ONCE)


def test_a_last_good_step_that_was_never_taken_has_a_state():
    """The first weights were not finite: the run goes on without them, and saves its states."""
    kept, again = LastGood(), LastGood(step=5)
    again.load_state_dict(kept.state_dict())
    assert (again.step, again.weights, again.optimizer) == (0, {}, {"state": {}})
