"""Gradient tables say what gradients are, before and after clipping, and wait for nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lmol.audit.gradients import gradient_norms, gradient_table, measure_gradients
from lmol.audit.parameters import audited_tensors
from lmol.audit.step import OpenStep
from tests.tiny import build_tiny
from tests.training.parts import OPTIM, monitor_of, trainer_of


@pytest.fixture
def tensors():
    tensors = audited_tensors(build_tiny())
    for tensor in tensors:
        tensor.parameter.grad = torch.randn_like(tensor.parameter)
    return tensors


def table_of(tensors, scale=1.0, full=False):
    measured = measure_gradients(tensors, scale, torch.bfloat16, full=full).double().numpy()
    return gradient_table(tensors, measured, gradient_norms(tensors).double().numpy())


def test_statistics_are_those_of_the_gradients(tensors):
    tensors[3].parameter.grad[:2] = 0
    table = table_of(tensors)
    for row, tensor in enumerate(tensors):
        gradient = tensor.parameter.grad
        assert table["name"][row] == tensor.name
        assert table["norm"][row] == pytest.approx(gradient.norm().item(), rel=1e-6)
        assert table["rms"][row] == pytest.approx(gradient.square().mean().sqrt().item(), rel=1e-5)
        assert table["mean"][row] == pytest.approx(gradient.mean().item(), abs=1e-7)
        assert table["mean_abs"][row] == pytest.approx(gradient.abs().mean().item(), rel=1e-5)
        assert table["max_abs"][row] == gradient.abs().max().item()
        zeros = (gradient == 0).double().mean().item()
        assert table["zero_share"][row] == pytest.approx(zeros, abs=1e-9)


def test_no_gradient_differs_from_a_gradient_of_zero(tensors):
    tensors[0].parameter.grad = None
    tensors[1].parameter.grad.zero_()
    table = table_of(tensors)
    assert table["missing"].tolist() == [True] + [False] * (len(tensors) - 1)
    assert np.isnan(table["norm"][0])
    assert (table["norm"][1], table["zero_share"][1]) == (0, 1)


def test_nan_and_infinity_are_counted(tensors):
    tensors[2].parameter.grad.flatten()[:3] = torch.nan
    tensors[2].parameter.grad.flatten()[3:5] = -torch.inf
    table = table_of(tensors)
    assert (table["nan"][2], table["inf"][2]) == (3, 2)
    assert table["nan"].sum() + table["inf"].sum() == 5


def test_the_scale_of_fp16_losses_is_divided_out_and_its_underflow_counted(tensors):
    before = table_of(tensors)["norm"]
    for tensor in tensors:
        tensor.parameter.grad *= 1024
    assert table_of(tensors, scale=1024.0)["norm"] == pytest.approx(before)
    tensors[0].parameter.grad.fill_(1e-9)
    measured = measure_gradients(tensors, 1.0, torch.float16, full=False).double().numpy()
    table = gradient_table(tensors, measured, np.zeros(len(tensors)))
    assert table["underflow_share"][0] == 1
    assert table["underflow_share"][1] < 1e-3


def test_the_full_audit_adds_quantiles(tensors):
    table = table_of(tensors, full=True)
    sizes = tensors[0].parameter.grad.abs().flatten()
    assert table["median_abs"][0] == pytest.approx(sizes.median().item(), rel=1e-3)
    assert table["p99_abs"][0] == pytest.approx(sizes.quantile(0.99).item(), rel=1e-2)
    assert "median_abs" not in table_of(tensors)


class Transfers(TorchDispatchMode):
    """Counts reads of single numbers, each of which would wait for the device."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*arguments, **(kwargs or {}))


def test_measuring_reads_no_single_number(tensors):
    step = OpenStep(step=1, tensors=tensors)
    optimizer = torch.optim.SGD([tensor.parameter for tensor in tensors], lr=0.1)
    with Transfers() as transfers:
        step.backward_done(None, torch.bfloat16, full=True)
        step.clipped()
        optimizer.step()
        step.finish(optimizer)
    assert transfers.count == 0


@pytest.mark.parametrize("clip", [0.01, 0.0])
def test_norms_stand_before_and_after_clipping(data, tmp_path, clip):
    comparer = build_tiny()
    optim = replace(OPTIM, grad_clip=clip)
    audit = ("audit.interval=1",)
    monitor = monitor_of(comparer, data[1], tmp_path, optim=optim, audit=audit)
    trainer_of(comparer, data, tmp_path, monitor=monitor, optim=optim).train()
    for step, signals in enumerate(monitor.history.steps, start=1):
        table = pd.read_csv(tmp_path / f"audit/grad_table_step_{step}.csv")
        before, after = (np.linalg.norm(table[name]) for name in ("norm", "norm_clipped"))
        assert before == pytest.approx(signals.grad_norm, rel=1e-4)
        assert after == pytest.approx(clip or before, rel=1e-3)
        assert before > 0.01
