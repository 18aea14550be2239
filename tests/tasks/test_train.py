"""The main job, by its real command: whole folders, the same numbers twice, and no leak."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import load_file

from lmol.data.sources.synthetic import SyntheticFaces
from lmol.model.checkpoint import load_checkpoint
from tests.tasks.conftest import SMALL
from tests.tiny import build_tiny

TIMES = ("train_seconds", "eval_seconds")


def read(path):
    return json.loads(Path(path).read_text())


def metrics(folder):
    return {k: v for k, v in read(f"{folder}/metrics.json").items() if k not in TIMES}


@pytest.fixture
def finished(trained):
    return trained


def test_a_run_folder_holds_what_the_readme_promises(finished):
    found = {str(p.relative_to(finished)) for p in finished.rglob("*") if p.is_file()}
    promised = {
        "config.yaml",
        "manifest.json",
        "run.log",
        "metrics.jsonl",
        "metrics.json",
        "trainable.csv",
        "images.csv",
        "diagnosis/accuracy_by_gap.csv",
        "diagnosis/hardest_pairs.csv",
        "diagnosis/reliability.csv",
        "diagnosis/reliability_calibrated.csv",
        "diagnosis/subgroups.csv",
        "predictions.csv",
        "confusion.csv",
        "ranking.csv",
        "pairs/train_fold1_96.csv",
        "pairs/eval_fold1_66.csv",
        "plots/learning_curves.png",
        "plots/confusion.png",
        "plots/ranking.png",
        "plots/overview.png",
        "plots/accuracy_by_gap.png",
        "plots/hardest_pairs.png",
        "plots/reliability.png",
        "plots/subgroups.png",
    }
    tables = ("grad_table", "update_table", "activation_table")
    promised |= {f"audit/{table}_step_{step}.csv" for table in tables for step in (1, 2, 12)}
    promised |= {f"audit/{name}.csv" for name in ("steps", "precision", "memory")}
    promised |= {"audit/gradient_flow_step_1.png", "audit/summary.md", "audit/summary.json"}
    checkpoints = {name for name in found if name.startswith("checkpoints/")}
    assert found - checkpoints == promised
    for kind in ("best", "last"):
        for name in ("adapter_model.safetensors", "adapter_config.json", "meta.json"):
            assert f"checkpoints/{kind}/{name}" in checkpoints
    assert {f"checkpoints/best/validation.{kind}" for kind in ("csv", "json")} <= checkpoints

    manifest = read(finished / "manifest.json")
    assert (manifest["status"], manifest["error"], manifest["fold"]) == ("done", None, 1)
    for fact in ("data_hash", "split_hash", "signature", "versions", "peak_memory_bytes"):
        assert manifest[fact], fact

    found_metrics = read(finished / "metrics.json")
    assert {
        *("accuracy", "accuracy_first", "accuracy_second", "accuracy_similar", "macro_f1"),
        *("order_consistency", "pearson", "spearman", "kendall", "mae", "rmse"),
        *("pairs", "images", "train_seconds", "eval_seconds"),
    } <= found_metrics.keys()
    assert (found_metrics["pairs"], found_metrics["images"]) == (66, 12)

    pairs = pd.read_csv(finished / "pairs/eval_fold1_66.csv")
    predictions = pd.read_csv(finished / "predictions.csv")
    ranking = pd.read_csv(finished / "ranking.csv")
    assert list(pairs.columns) == ["img1", "img2", "score1", "score2", "label"]
    shown = ["img1", "img2", "label", "pred", "p_first", "p_second", "p_similar"]
    assert list(predictions.columns) == shown
    assert list(ranking.columns) == ["image", "score", "strength", "stderr", "estimate", "rank"]
    assert predictions[["img1", "img2", "label"]].equals(pairs[["img1", "img2", "label"]])
    right = predictions["label"] == predictions["pred"]
    assert found_metrics["accuracy"] == pytest.approx(right.mean())
    assert found_metrics["pearson"] == pytest.approx(ranking["score"].corr(ranking["strength"]))
    assert set(ranking["image"]) == set(pairs["img1"]) | set(pairs["img2"])


def test_no_held_out_image_is_in_a_training_pair(finished):
    train = pd.read_csv(finished / "pairs/train_fold1_96.csv")
    held_out = pd.read_csv(finished / "pairs/eval_fold1_66.csv")
    seen = set(train["img1"]) | set(train["img2"])
    assert not seen & (set(held_out["img1"]) | set(held_out["img2"]))


def test_checkpoints_are_read_back_by_a_comparer_of_the_same_configuration(finished):
    comparer = build_tiny(r=8, alpha=32)
    best = finished / "checkpoints" / "best"
    facts = load_checkpoint(comparer, best)
    assert facts["keys"] == sorted(load_file(best / "adapter_model.safetensors"))


def test_the_same_command_twice_gives_the_same_metrics(command, finished):
    assert command(*SMALL, "hydra.run.dir=again") == (0, "")
    again = Path("again")
    assert metrics(again) == metrics(finished)
    for name in ("predictions.csv", "ranking.csv", "pairs/train_fold1_96.csv"):
        assert (again / name).read_bytes() == (finished / name).read_bytes()
    weights = [
        load_file(folder / "checkpoints/last/adapter_model.safetensors")
        for folder in (finished, again)
    ]
    assert all((weights[0][key] == weights[1][key]).all() for key in weights[0])


def test_the_metric_that_a_sweeper_gets_is_of_validation_pairs(finished):
    records = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    name = "eval_" + read(finished / "checkpoints/best/meta.json")["metric"]
    best = read(finished / "checkpoints/best/meta.json")["best_value"]
    assert best in [record[name] for record in records if name in record]


def test_a_multirun_writes_a_folder_for_each_fold(sweep):
    held_out = []
    for fold in (1, 2):
        folder = sweep / f"fold_{fold}"
        assert read(folder / "manifest.json")["status"] == "done"
        held_out.append(set(pd.read_csv(folder / "ranking.csv")["image"]))
    assert not held_out[0] & held_out[1]
    gaps = [pd.read_csv(sweep / f"fold_{fold}/diagnosis/accuracy_by_gap.csv") for fold in (1, 2)]
    # A report adds them up, interval by interval.
    pd.testing.assert_frame_equal(gaps[0][["low", "high"]], gaps[1][["low", "high"]])


def csv_of_faces(root: Path, change) -> list[str]:
    """Overrides for 200 drawn faces as a CSV data set, after `change` of their score table."""
    faces = SyntheticFaces(root=root, num_images=200, image_size=64, seed=5).load().images
    table = change(faces).assign(image=lambda t: t["path"])
    table[["image", "score"]].to_csv(root / "scores.csv", index=False)
    return [
        "data=csv",
        f"data.root={root}",
        "data.question='Which face looks more attractive?'",
        "data.schedule.num_pairs=1600",
        "train.validate_every=1.0",
        "audit=off",
        "threads=1",
        "hydra.run.dir=run",
    ]


def shuffled(faces):
    scores = np.random.default_rng(0).permutation(faces["score"].to_numpy())
    return faces.assign(score=scores)


@pytest.mark.parametrize(("change", "learns"), [(lambda faces: faces, True), (shuffled, False)])
def test_only_true_scores_can_be_learnt(command, tmp_path, change, learns):
    assert command(*csv_of_faces(tmp_path, change)) == (0, "")
    found = metrics("run")
    majority = pd.read_csv("run/predictions.csv")["label"].value_counts(normalize=True).max()
    if learns:
        assert found["accuracy"] > majority + 0.15
        assert found["pearson"] > 0.7
    else:
        assert found["accuracy"] < majority + 0.05
        assert abs(found["pearson"]) < 0.45  # its SD over 40 unrelated images is .16


@pytest.mark.pictures
def test_images_that_are_all_the_same_get_no_order(command, tmp_path):
    def one_picture(faces):
        for path in faces["path"][1:]:
            Path(path).unlink()
            os.link(faces["path"][0], path)
        return faces

    settings = csv_of_faces(tmp_path, one_picture)
    code, errors = command(*settings, "data.schedule.num_pairs=96")
    assert code == 2
    assert "held-out image(s) that are trained on" in errors
    few = ("data.schedule.num_pairs=96", "fold.allow_duplicates=true", "hydra.run.dir=again")
    assert command(*settings[:-1], *few) == (0, "")
    found, ranking = metrics("again"), pd.read_csv("again/ranking.csv")
    assert found["pearson"] is found["spearman"] is found["kendall"] is None
    assert (found["accuracy_first"], found["accuracy_second"]) == (0, 0)
    assert ranking["strength"].abs().max() < 1e-6
    assert set(ranking["rank"]) == {1}


def test_any_image_table_works_the_same_way(command, tmp_path):
    for index in range(40):
        Image.new("RGB", (50, 30 + index), (index, 0, 0)).save(tmp_path / f"{index}.jpg")
    rows = "".join(f"{index}.jpg,{index % 10},{'ab'[index % 2]}\n" for index in range(40))
    (tmp_path / "scores.csv").write_text("image,score,group\n" + rows)
    small = ("data.schedule.num_pairs=24", "train.batch_pairs=8", "hydra.run.dir=run", "threads=1")
    settings = ("data=csv", "data.root=.", "data.source.min_score=0", "data.source.max_score=9")
    question = "data.question='Which one looks better?'"
    assert command(*settings, "data.theta=0.5", question, *small) == (0, "")
    assert metrics("run")["images"] == 8


def test_a_run_ends_with_six_metrics_and_what_to_do_next(trained_once):
    lines = (trained_once / "outputs/one/run/run.log").read_text().splitlines()
    end = lines[next(k for k, line in enumerate(lines) if "Held-out fold, " in line) :]
    titles = ["accuracy", "recall of Similar", "order consistency", "Pearson", "Spearman"]
    shown = [line.split("  ")[1] for line in end[1:7] if line.startswith("  ")]
    assert shown == [*titles, "mean absolute error"]
    text = "\n".join(end)
    for message in ("/metrics.json", "/plots/overview.png", "task=rank run=", "task=report runs="):
        assert message in text


def test_no_line_of_a_log_is_wider_than_its_format_needs(trained_once):
    """But for the records of training, whose format is fixed, and for paths on their own lines."""
    lines = (trained_once / "outputs/one/run/run.log").read_text().splitlines()
    messages = [line.split(" lmol.")[-1].partition(": ")[2] or line for line in lines]
    wide = [m for m in messages if len(m) > 100 and str(trained_once) not in m]
    assert [m for m in wide if not m.startswith("Batch ")] == []
