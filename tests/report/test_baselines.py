"""Baselines stand first, chance and majority beside them, and a sentence weighs the comparer."""

import pandas as pd
import pytest
import yaml

from lmol.report.recipes import subject_of
from lmol.report.runs import reported_runs
from lmol.report.sections.baselines import constant_rows, cost_texts
from lmol.report.sections.headline import headline_section
from tests.report.run_folders import make_sweep

COMPARER = {"_target_": "lmol.model.vlm.spec.VisionLanguageModel"}
RIDGE = {"_target_": "lmol.model.baseline.spec.RidgeSpec"}


def sweep(path, accuracies, *, model=COMPARER, epochs=1, **changes):
    """A sweep with a model and a number of epochs in its settings."""
    made = make_sweep(path, accuracies, name=path.name, **changes)
    for file in made.glob("*/config.yaml"):
        values = yaml.safe_load(file.read_text())
        file.write_text(yaml.safe_dump({**values, "model": model, "train": {"epochs": epochs}}))
    return made


def subject(*folders):
    return subject_of(reported_runs([str(folder) for folder in folders]))


@pytest.fixture
def tuned(tmp_path):
    return sweep(tmp_path / "tuned", (0.90, 0.91, 0.92))


def table(found):
    return headline_section(found).blocks[0]


def labels(found):
    return [row[0].text for row in table(found).rows]


def sentences(found):
    return [sentence for text in cost_texts(found) for sentence in text.sentences]


def test_baselines_are_above_the_others(tmp_path, tuned):
    ridge = sweep(tmp_path / "ridge", (0.80, 0.81, 0.83), model=RIDGE)
    untrained = sweep(tmp_path / "untrained", (0.4, 0.5, 0.4), epochs=0)
    found = subject(tuned, untrained, ridge)
    assert labels(found) == ["chance", "untrained", "ridge", "tuned"]
    assert [recipe.label for recipe in found.recipes] == ["tuned", "untrained", "ridge"]


def test_a_comparer_is_tested_against_the_best_baseline(tmp_path, tuned):
    weak = sweep(tmp_path / "weak", (0.50, 0.51, 0.52), model=RIDGE)
    strong = sweep(tmp_path / "strong", (0.80, 0.81, 0.821), model=RIDGE)
    verdict, accuracy, pearson, _ = sentences(subject(weak, strong, tuned))
    assert verdict == "tuned is worth its cost on these data by accuracy and Pearson."
    assert accuracy.startswith("Accuracy: over 3 shared folds tuned is 0.100 higher than strong")
    assert pearson.startswith("Pearson: over 3 shared folds tuned is 0.100 higher than strong")


def test_the_best_baseline_may_differ_by_metric(tmp_path, tuned):
    one = sweep(tmp_path / "one", (0.80, 0.81, 0.82), model=RIDGE)
    other = sweep(tmp_path / "other", (0.70, 0.71, 0.72), model=RIDGE)
    for file in other.glob("*/metrics.json"):
        file.write_text(file.read_text().replace('"pearson": 0.', '"pearson": 1.'))
    _, accuracy, pearson, _ = sentences(subject(one, other, tuned))
    assert "higher than one" in accuracy
    assert "lower than other" in pearson


def test_a_comparer_that_is_not_better_is_not_called_worth_its_cost(tmp_path, tuned):
    better = sweep(tmp_path / "better", (0.95, 0.97, 0.96), model=RIDGE)
    found = sentences(subject(tuned, better))
    assert found[0] == "These folds do not show that tuned is worth its cost."


def test_other_data_are_not_compared(tmp_path, tuned):
    ridge = sweep(tmp_path / "ridge", (0.80, 0.81, 0.82), model=RIDGE, data_hash="other")
    assert sentences(subject(ridge, tuned)) == []


def test_a_page_without_baselines_has_no_such_sentence(tuned):
    assert sentences(subject(tuned)) == []
    assert labels(subject(tuned)) == ["chance", "tuned"]


def test_a_page_of_baselines_alone_has_no_such_sentence(tmp_path):
    assert sentences(subject(sweep(tmp_path / "ridge", (0.8, 0.8, 0.9), model=RIDGE))) == []


def test_the_majority_class_is_that_of_the_training_pairs(tuned):
    for fold in (1, 2, 3):
        pairs = pd.DataFrame({"img1": "a", "img2": "b", "label": ["Second", "Second", "First"]})
        (tuned / f"fold_{fold}/pairs").mkdir()
        pairs.to_csv(tuned / f"fold_{fold}/pairs/train_fold{fold}_3.csv", index=False)
        counts = pd.DataFrame({"label": ["First", "Second", "Similar"], "First": [1, 0, 5],
                               "Second": [0, 2, 0], "Similar": [1, 1, 0]})  # fmt: skip
        counts.to_csv(tuned / f"fold_{fold}/confusion.csv", index=False)
    chance, majority = constant_rows(subject(tuned))
    assert [cell.text for cell in chance[:3]] == ["chance", "3", "0.333"]
    assert [cell.text for cell in majority[:3]] == ["majority class", "3", "0.300 ± 0.000"]
    assert "always Second" in majority[0].note
    assert {cell.text for cell in (*chance[3:], *majority[3:])} == {"–"}


def test_votes_count_by_share_and_weight(tuned):
    pairs = pd.DataFrame({"img1": "a", "img2": "b", "label": ["First", "First", "Similar"],
                          "p_first": [0.6, 0.6, 0.0], "p_second": 0.0, "p_similar": [0.4, 0.4, 1.0],
                          "weight": [1.0, 1.0, 3.0]})  # fmt: skip
    for fold in (1, 2, 3):
        (tuned / f"fold_{fold}/pairs").mkdir()
        pairs.to_csv(tuned / f"fold_{fold}/pairs/train_fold{fold}_3.csv", index=False)
    majority = constant_rows(subject(tuned))[1]
    assert "always Similar" in majority[0].note


def test_a_damaged_table_of_pairs_gives_no_majority(tuned):
    (tuned / "fold_1/pairs").mkdir()
    (tuned / "fold_1/pairs/train_fold1_3.csv").write_text("label\nFrist\n")
    assert [row[0].text for row in constant_rows(subject(tuned))] == ["chance"]


def test_foreign_numbers_do_not_end_a_report(tuned):
    (tuned / "fold_1/pairs").mkdir()
    table = "label,p_first,p_second,p_similar,weight\nFirst,1,0,0,1\nFirst,x,0,,heavy\n"
    (tuned / "fold_1/pairs/train_fold1_2.csv").write_text(table)
    assert len(constant_rows(subject(tuned))) == 2
    confusion = "label,First,Second,Similar\nFirst,0,x,0\nFirst,0,0,0\n"
    (tuned / "fold_1/confusion.csv").write_text(confusion)
    assert len(constant_rows(subject(tuned))) == 1


def test_without_a_finished_run_there_is_no_constant(tmp_path):
    made = sweep(tmp_path / "tuned", (0.9,), status="running")
    assert constant_rows(subject(made)) == []
