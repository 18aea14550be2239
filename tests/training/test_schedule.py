"""Every schedule warms up to the peak and never falls below its floor."""

from dataclasses import replace

import pytest

from lmol.config.schema import OptimConfig, Schedule
from lmol.training.optim import learning_rate_share
from tests.training.parts import OPTIM

STEPS = 200


def config(schedule: Schedule, warmup=0.05, floor=0.01, cycles=2) -> OptimConfig:
    return replace(OPTIM, schedule=schedule, warmup_ratio=warmup, floor=floor, cycles=cycles)


def shares(schedule: Schedule, **kwargs: float) -> list[float]:
    return [learning_rate_share(step, STEPS, config(schedule, **kwargs)) for step in range(STEPS)]


@pytest.mark.parametrize("schedule", Schedule)
def test_warm_up_rises_linearly_to_the_peak(schedule):
    curve = shares(schedule)
    assert curve[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert max(curve) == pytest.approx(1.0)


@pytest.mark.parametrize("schedule", [Schedule.COSINE, Schedule.LINEAR])
def test_decay_is_monotone_and_ends_at_the_floor(schedule):
    curve = shares(schedule, floor=0.1)[10:]
    assert curve == sorted(curve, reverse=True)
    assert curve[-1] == pytest.approx(0.1, abs=0.01)
    assert min(curve) >= 0.1


def test_restarts_return_to_the_peak_once_a_cycle():
    curve = shares(Schedule.COSINE_RESTARTS, warmup=0.0, cycles=4)
    assert [step for step in range(STEPS) if curve[step] == pytest.approx(1.0)] == [0, 50, 100, 150]


def test_constant_stays_at_the_peak():
    assert set(shares(Schedule.CONSTANT, warmup=0.0)) == {1.0}
