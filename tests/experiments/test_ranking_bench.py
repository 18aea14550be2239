"""The measurements of ranking at a toy size."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lmol.errors import DataError
from lmol.experiments.bench import ranking
from lmol.experiments.bench.ranking_judges import judge_of_run, simulated_judge
from lmol.ranking.bradley_terry import fit_strengths


@pytest.fixture
def predictions(tmp_path):
    """The two files of a run folder with 30 images, all pairs judged, images not in row order."""
    judge, names = simulated_judge(30, 1), [f"{index}.png" for index in range(30)]
    first, second = np.triu_indices(30, 1)
    gap = 2 * judge(first, second) - 1
    asked = pd.DataFrame(
        {
            "img1": np.array(names)[first],
            "img2": np.array(names)[second],
            "p_first": np.maximum(gap, 0),
            "p_second": np.maximum(-gap, 0),
            "p_similar": 1 - np.abs(gap),
        }
    )
    asked.to_csv(tmp_path / "predictions.csv", index=False)
    images = pd.DataFrame({"image": names, "score": judge.scores})
    images.iloc[::-1].to_csv(tmp_path / "ranking.csv", index=False)
    return tmp_path / "predictions.csv"


def test_all_tables_are_printed_drawn_and_written(tmp_path, predictions, monkeypatch, capsys):
    monkeypatch.setattr(ranking, "REFERENCES", (2, 5))
    monkeypatch.setattr(ranking, "DESIGNS", ((30, 20),))
    plot, rows = tmp_path / "new" / "ranking.png", tmp_path / "rows.json"
    sizes = ["--images", "40", "--seeds", "2", "--runs", "2", "--fit-images", "50"]
    paths = ["--plot", str(plot), "--json", str(rows), "--predictions", str(predictions)]
    monkeypatch.setattr(sys, "argv", ["ranking", *sizes, *paths])
    ranking.main()
    printed = capsys.readouterr().out
    written = pd.DataFrame(json.loads(rows.read_text()))
    assert set(written["table"]) == {"pairing", "fit", "recovery"}
    assert all(name in printed for name in ("adaptive until stable", "process_s", "coverage"))
    assert set(written["judge"].dropna()) == {"simulated", "run"}
    assert written["spearman"].dropna().between(0.5, 1).all()
    with Image.open(plot) as drawn:
        assert drawn.format == "PNG"


def test_a_run_is_looked_up_by_name(predictions):
    judge, known = judge_of_run(predictions), simulated_judge(30, 1)
    first, second = np.triu_indices(30, 1)
    np.testing.assert_allclose(judge(29 - first, 29 - second), known(first, second), atol=1e-12)
    np.testing.assert_allclose(judge.win_share + judge.win_share.T, 1)
    np.testing.assert_allclose(judge.scores, known.scores[::-1])


def test_a_run_that_did_not_judge_all_pairs_is_refused(predictions):
    pd.read_csv(predictions).iloc[1:].to_csv(predictions, index=False)
    with pytest.raises(DataError, match=r"got 434 pairs of 30 images.*\n.*eval\.pairs=all"):
        judge_of_run(predictions)


def test_the_predictions_of_another_run_are_refused(predictions):
    table = pd.read_csv(predictions)
    table.loc[3, "img2"] = "of_another_run.png"
    table.to_csv(predictions, index=False)
    with pytest.raises(DataError, match=r"of_another_run\.png, not both in ranking\.csv"):
        judge_of_run(predictions)


def test_the_simulated_judge_ranks_all_pairs_as_well_as_stated():
    judge = simulated_judge(500, 0)
    first, second = np.triu_indices(500, 1)
    strengths = fit_strengths(500, first, second, judge(first, second), 1.0).strengths
    assert np.corrcoef(strengths, judge.scores)[0, 1] == pytest.approx(0.93, abs=0.015)
    np.testing.assert_allclose(judge.win_share + judge.win_share.T, 1)
