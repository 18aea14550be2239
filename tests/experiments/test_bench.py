"""The measurements run, and say so where something cannot be measured."""

import argparse
import json

import pandas as pd
import pytest
import torch
from PIL import Image

from lmol.experiments.bench import threads
from lmol.experiments.bench.folds import plot, summary
from lmol.experiments.bench.llava_shape import MEASURED, row
from lmol.experiments.bench.report import report
from tests.tasks.conftest import SMALL


@pytest.mark.pictures
def test_rows_are_printed_drawn_and_written(tmp_path, capsys):
    rows = [{"way": "a", "seconds": 1.25}, {"way": "b", "seconds": "not measured"}]
    paths = argparse.Namespace(plot=tmp_path / "new" / "plot.png", json=tmp_path / "rows.json")
    report(rows, paths, "way", ["seconds"])
    assert "1.25" in capsys.readouterr().out
    assert json.loads(paths.json.read_text()) == rows
    with Image.open(paths.plot) as drawn:
        assert drawn.format == "PNG"


@pytest.mark.parametrize("quantization", ["nf4", "none"])
def test_the_steps_of_the_7b_benchmark_run_at_a_toy_size(quantization):
    settings = argparse.Namespace(shape="tiny", batch_pairs=1, steps=1, recompute=True)
    measured = row(quantization, settings)
    assert measured["step_s"] > 0
    assert measured["sequences_per_s"] == pytest.approx(2 / measured["step_s"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="it is measured where there is a device")
def test_without_a_device_the_7b_shape_is_not_measured():
    settings = argparse.Namespace(shape="7b", batch_pairs=4, steps=20, recompute=False)
    assert {row("nf4", settings)[name] for name in MEASURED} == {"not measured"}


def test_folds_are_summed_up_by_data_seed(tmp_path):
    names = ("accuracy", "accuracy_similar", "order_consistency", "pearson", "spearman", "mae")
    costs = ("train_seconds", "eval_seconds", "peak_gb")
    rows = pd.DataFrame(
        [
            {"seed": seed, "fold": fold, **dict.fromkeys((*names, *costs), 0.1 * fold)}
            for seed in (1, 2)
            for fold in (1, 2, 3)
        ]
    )
    table = summary(rows)
    assert table.loc[(1, "accuracy"), "mean"] == pytest.approx(0.2)
    assert table.loc[(2, "pearson"), "min"] == pytest.approx(0.1)
    plot(rows, tmp_path / "folds.png")
    assert (tmp_path / "folds.png").is_file()


@pytest.mark.slow
def test_trainings_beside_busy_processes_are_timed_and_their_weights_compared(
    tmp_path, monkeypatch
):
    ways = {"one": ({}, ("threads=1",)), "two": ({"GOMP_SPINCOUNT": "9"}, ("threads=2",))}
    monkeypatch.setattr("lmol.experiments.bench.threads.WAYS", ways)
    rows = threads.measure([1], 1, [*SMALL, f"data.root={tmp_path}/faces"], tmp_path)
    assert [row["way"] for row in rows] == ["one, 1 busy", "two, 1 busy"]
    assert min(row["ratio"] for row in rows) == 1
    assert all(row["train_s"] > 0 and len(row["weights"]) == 12 for row in rows)
