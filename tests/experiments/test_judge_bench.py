"""The judge's measurement runs at a toy size, and the three ways to ask agree."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from lmol.experiments.bench.judge import MEASURED, agreement, main, model_rows


@pytest.fixture(scope="module")
def rows():
    torch.set_num_threads(1)
    return model_rows("tiny", num_images=5, seconds=0.1)


def test_every_way_answers_pairs_as_the_judge_does(rows):
    assert [row["way"] for row in rows] == ["generate", "stock", "comparer", "judge"]
    for row in rows:
        assert row["pairs_compared"] > 0
        assert row["largest_difference"] < 1e-6
        assert row["other_answers"] == 0


def test_rates_are_compared_with_the_judge_s(rows):
    judge = rows[-1]
    assert judge["pairs_compared"] == 10  # all pairs of 5 images
    for row in rows:
        assert row["judge_times"] == pytest.approx(judge["pairs_per_s"] / row["pairs_per_s"])
        assert 0 < row["slowest_turn"] <= row["pairs_per_s"]


def test_a_pair_that_differs_in_one_order_is_counted():
    right = np.tile([0.7, 0.2, 0.1], (4, 2, 1))
    answers = right.copy()
    answers[2, 1] = [0.4, 0.5, 0.1]
    found = agreement(answers, right)
    assert found["other_answers"] == 1
    assert found["largest_difference"] == pytest.approx(0.3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="it is measured where there is a device")
def test_without_a_device_the_7b_shapes_are_not_measured(tmp_path, capsys, monkeypatch):
    rows, drawn = tmp_path / "rows.json", tmp_path / "judge.png"
    command = ["judge", "--models", "7b-bf16", "7b-nf4", "--json", str(rows), "--plot", str(drawn)]
    monkeypatch.setattr(sys, "argv", command)
    main()
    assert capsys.readouterr().out.count("not measured") == 2 * 4 * len(MEASURED)
    written = json.loads(rows.read_text())
    assert {row[name] for row in written for name in MEASURED} == {"not measured"}
    with Image.open(drawn) as image:
        assert image.format == "PNG"
