"""W&B gets the content of a run folder: read back from the offline file of real commands."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lmol.config import load_config
from lmol.report import online
from lmol.report.numbers import METRICS
from lmol.report.online import CURVES, PICTURES, TABLES
from lmol.training.trainer import ComparisonTrainer
from tests.tasks.conftest import SMALL, run_in
from tests.tracking.wandb_file import stored_run

RARE = "validation/accuracy_similar"
"""Not logged: no validation pair of the small run is labelled Similar."""

OFFLINE = tuple("tracking=offline" if one == "tracking=off" else one for one in SMALL)


def read(path):
    return json.loads(Path(path).read_text())


@pytest.fixture(scope="module")
def tracked_once(tmp_path_factory):
    """A folder with a tracked run."""
    folder = tmp_path_factory.mktemp("tracked")
    return run_in(folder, *OFFLINE, "train.log_every=1", "hydra.run.dir=run")


@pytest.fixture
def stored(command, tracked_once, monkeypatch):
    """Return W&B's record of that run; the test runs in its folder."""
    monkeypatch.chdir(tracked_once)
    return stored_run(Path("run"))


def test_a_run_is_tracked_offline_by_default():
    assert load_config("task=train").tracking.mode.value == "offline"


def test_a_run_gets_scalars_tables_and_pictures(stored):
    assert stored.exit_code == 0
    assert (stored.run.job_type, stored.run.run_group) == ("train", "default")
    rows = stored.history
    losses = {row["step"]: row["train/loss"] for row in rows if "train/loss" in row}
    assert sorted(losses) == list(range(1, 13))
    assert all("train/lr_lora" in row for row in rows if "train/loss" in row)
    validated = [row for row in rows if "validation/accuracy" in row]
    assert [row["step"] for row in validated] == [6, 12]
    for name in ("accuracy_first", "accuracy_second", "order_consistency", "macro_f1"):
        assert all(0 <= row[f"validation/{name}"] <= 1 for row in validated)
    for name in ("grad", "update", "activation"):
        table, _ = table_of(stored, f"audit/{name}_table")
        audited = [pd.read_csv(f"run/audit/{name}_table_step_{step}.csv") for step in (1, 2, 12)]
        assert table["step"].tolist() == [
            step for step, one in zip((1, 2, 12), audited, strict=True) for _ in range(len(one))
        ]
        expected = pd.concat(audited, ignore_index=True).replace(np.inf, np.nan)  # W&B has no inf
        assert list(table) == ["step", *expected]
        numbers = expected.select_dtypes("float").columns
        pd.testing.assert_frame_equal(
            table[numbers].astype(float), expected[numbers], rtol=1e-4, check_dtype=False
        )
    assert [row["step"] for row in rows if "audit/gradient_flow" in row] == [1]
    manifest = read("run/manifest.json")
    for name in ("data_hash", "split_hash", "versions", "health"):
        assert stored.config["manifest"][name] == manifest[name]


def table_of(stored, name):
    """Rows of a table as they were stored, and the files that it shows."""
    [artifact] = [one for one in stored.artifacts if f"{name}.table.json" in str(one.manifest)]
    files = {entry.path: Path(entry.local_path) for entry in artifact.manifest.contents}
    found = json.loads(files[f"{name}.table.json"].read_text())
    return pd.DataFrame(found["data"], columns=found["columns"]), files


def test_the_held_out_fold_is_reported_as_the_folder_has_it(stored):
    results = read("run/metrics.json")
    assert {name: stored.summary[name] for name in results} == pytest.approx(results, nan_ok=True)
    confusion, _ = table_of(stored, "held_out/confusion_table")
    assert confusion.to_csv(index=False) == pd.read_csv("run/confusion.csv").to_csv(index=False)
    ranking, _ = table_of(stored, "held_out/ranking_table")
    saved = pd.read_csv("run/ranking.csv")
    pd.testing.assert_frame_equal(ranking, saved, check_dtype=False)
    for name in ("confusion", "ranking", "accuracy_by_gap", "reliability"):
        picture = stored.files / stored.one(f"held_out/{name}")["path"]
        assert picture.read_bytes() == Path(f"run/plots/{name}.png").read_bytes()
    best = read("run/checkpoints/best/meta.json")["step"]
    [step] = [row["step"] for row in stored.history if "held_out/ranking" in row]
    assert step == best


def test_the_hardest_pairs_show_their_pictures(stored):
    pairs, files = table_of(stored, "held_out/hardest_pairs")
    images = pd.read_csv("run/images.csv").set_index("image")["path"]
    assert 0 < len(pairs) <= 12
    for _, pair in pairs.iterrows():
        for side in (1, 2):
            shown = files[pair[f"picture{side}"]["path"]]
            assert shown.read_bytes() == Path(images[pair[f"img{side}"]]).read_bytes()


def test_evaluating_is_a_run_of_its_own_kind(command, trained):
    assert command("task=evaluate", "tracking=offline", "hydra.run.dir=judged") == (0, "")
    stored = stored_run(Path("judged"))
    assert stored.run.job_type == "evaluate"
    assert stored.summary["accuracy"] == read("judged/metrics.json")["accuracy"]


def test_a_job_that_fails_and_is_begun_anew_is_one_run_of_its_sweep(command, monkeypatch):
    sweep = ("-m", "fold=1", *OFFLINE, "hydra.sweep.dir=sweep")

    def broken(trainer, *arguments, **options):
        raise RuntimeError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(ComparisonTrainer, "training_step", broken)
        assert command(*sweep)[0] == 1
    assert command(*sweep) == (0, "")
    failed = stored_run(Path("sweep/unfinished/fold_1_1"))
    done = stored_run(Path("sweep/fold_1"))
    assert (failed.exit_code, done.exit_code) == (1, 0)
    assert failed.run.run_id == done.run.run_id
    assert {failed.run.run_group, done.run.run_group} == {"sweep"}


def test_a_report_refers_to_nothing_that_a_run_does_not_log(stored):
    logged = {key for row in stored.history for key in row}
    assert {*CURVES.values(), *PICTURES.values(), *TABLES} - logged <= {RARE}
    assert {metric.key for metric in METRICS} <= {*stored.summary}
    assert read("run/manifest.json")["wandb"]["id"] == stored.run.run_id


@pytest.fixture
def unreachable(monkeypatch):
    """A server that does not answer; W&B itself takes twenty seconds to report it."""

    def nobody():
        raise ConnectionError("nobody is at http://127.0.0.1:9")

    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef" * 3)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(online, "default_entity", nobody)


def test_a_report_that_cannot_be_uploaded_leaves_page_and_spec(command, stored, unreachable):
    report = ("task=report", "runs=run", "hydra.run.dir=report")
    code, errors = command(*report, "tracking=online")
    assert code == 2
    assert "tracking.mode: got online, and W&B says: ConnectionError: nobody is at" in errors
    assert Path("report/report.html").is_file()
    assert [block["type"] for block in read("report/wandb_report.json")["blocks"]]


def test_a_list_is_no_report_for_wandb(command, unreachable):
    code, errors = command("task=report", "tracking=online")
    assert code == 2
    assert "tracking.mode: got online, for a list of runs" in errors
