"""Folds split images: every image is held out once, and no pair crosses the split."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lmol.config.schema import FoldConfig, FoldKind
from lmol.data.folds import Split, official_folds, seeded_folds, split_folds, split_hash
from lmol.data.sources.score_table import ScoreTable
from lmol.data.sources.scut import ScutFBP5500
from lmol.errors import DataError
from tests.data.sources.scut_release import lists_of, write_release


def fold_config(kind=FoldKind.SEEDED, seed=1):
    return FoldConfig(kind=kind, index=1, k=5, seed=seed, validation=0.2, allow_duplicates=False)


def parts(split: Split) -> list[set[str]]:
    return [set(part["image"]) for part in (split.train, split.validation, split.held_out)]


@pytest.fixture
def release(tmp_path):
    return ScutFBP5500(root=write_release(tmp_path / "release"))


@pytest.mark.parametrize("kind", list(FoldKind))
def test_every_image_is_held_out_once_and_no_part_shares_an_image(release, kind):
    scores = release.load().images
    splits = split_folds(release, scores, fold_config(kind))
    held_out = [name for split in splits for name in split.held_out["image"]]
    assert sorted(held_out) == sorted(scores["image"])
    for split in splits:
        train, validation, test = parts(split)
        assert not train & validation
        assert not train & test
        assert not validation & test
        assert train | validation | test == set(scores["image"])
        assert len(validation) == round(0.2 * (len(train) + len(validation)))


def test_official_folds_are_the_release_lists(release):
    splits = split_folds(release, release.load().images, fold_config(FoldKind.OFFICIAL))
    for fold, split in enumerate(splits, start=1):
        listed = lists_of(release.root, fold)[1].read_text().split()[::2]
        assert parts(split)[2] == set(listed)


def table(scores, **columns):
    names = [f"{row:04d}.jpg" for row in range(len(scores))]
    return pd.DataFrame({"image": names, "score": scores, **columns})


def test_seeded_folds_are_stratified_by_score():
    scores = np.random.default_rng(0).normal(3, 0.7, 800)
    folds = seeded_folds(table(scores), 5, seed=1)
    assert np.bincount(folds).tolist() == [0, 160, 160, 160, 160, 160]
    means = [scores[folds == fold].mean() for fold in range(1, 6)]
    assert np.std(means) < 0.005  # about 0.05 for folds drawn at random


def test_the_order_of_the_images_does_not_decide_the_strata():
    scores = np.repeat([1.0, 2.0], 50)
    folds = seeded_folds(table(scores), 5, seed=1)
    assert not np.array_equal(folds[:50], np.sort(folds[:50]))
    assert np.bincount(folds[:50]).tolist() == [0, 10, 10, 10, 10, 10]


def test_the_same_seed_gives_the_same_folds_and_another_gives_others(release):
    scores = release.load().images
    hashes = [
        [split_hash(s) for s in split_folds(release, scores, fold_config(seed=seed))]
        for seed in (1, 1, 2)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_validation_images_spread_over_the_scores(release):
    split = split_folds(release, release.load().images, fold_config())[0]
    known = np.sort(np.concatenate([split.train["score"], split.validation["score"]]))
    tertiles = np.digitize(split.validation["score"], known[[11, 22]])
    assert np.bincount(tertiles, minlength=3).min() >= 1


def test_too_few_images_for_the_folds_are_an_error():
    with pytest.raises(DataError, match=r"fold\.k: got 5 folds of 9 images"):
        seeded_folds(table(np.arange(9.0)), 5, seed=0)


@pytest.fixture
def portraits():
    """300 images of 60 subjects, of whom some have one image and some have many."""
    rng = np.random.default_rng(0)
    subject = np.concatenate([np.arange(60), rng.choice(60, 240, p=rng.dirichlet(np.ones(60)))])
    scores = rng.normal(3, 0.7, 60)[subject] + rng.normal(0, 0.1, 300)
    return table(scores, subject=[f"person {number}" for number in subject])


def test_all_images_of_a_subject_are_in_one_part_of_every_fold(portraits):
    source = ScoreTable(root=Path(), table=Path("scores.csv"), min_score=1, max_score=5)
    for split in split_folds(source, portraits, fold_config()):
        subjects = [
            set(part["subject"]) for part in (split.train, split.validation, split.held_out)
        ]
        assert sum(map(len, subjects)) == len(set.union(*subjects)) == 60


def test_folds_of_subjects_are_about_equally_large_and_stratified(portraits):
    folds = seeded_folds(portraits, 5, seed=1)
    assert np.bincount(folds)[1:].min() > 45  # 60 on average; the largest subject has 17 images
    means = portraits.groupby(folds)["score"].mean()
    assert means.std() < 0.15  # about .17 where subjects are dealt out at random


def test_subjects_of_one_image_each_are_split_as_images_without_subjects(portraits):
    scores = portraits.drop(columns="subject")
    single = scores.assign(subject=scores["image"].radd("person "))
    assert seeded_folds(single, 5, seed=3).tolist() == seeded_folds(scores, 5, seed=3).tolist()


def test_too_few_subjects_for_the_folds_are_an_error():
    images = table(np.arange(20.0), subject=[f"person {row // 4}" for row in range(20)])
    with pytest.raises(DataError, match=r"got 5 folds of 5 subjects; expected at least two"):
        seeded_folds(images, 5, seed=0)


def edit(path, change):
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))


def test_a_test_image_in_the_training_list_is_an_error(release):
    train, test = lists_of(release.root, 2)
    stolen = test.read_text().splitlines(keepends=True)[0]
    edit(train, lambda lines: [*lines, stolen])
    with pytest.raises(DataError, match=r"test_2\.txt: got 1 image\(s\) also in the training list"):
        official_folds(release, release.load().images)


def test_two_folds_that_hold_out_the_same_image_are_an_error(release):
    stolen = lists_of(release.root, 1)[1].read_text().splitlines(keepends=True)[0]
    train, test = lists_of(release.root, 2)
    edit(train, lambda lines: [line for line in lines if line != stolen])
    edit(test, lambda lines: [*lines, stolen])
    with pytest.raises(DataError, match=r"test_2\.txt: got 1 image\(s\) held out by an earlier"):
        official_folds(release, release.load().images)


def test_an_image_in_neither_list_is_an_error(release):
    edit(lists_of(release.root, 3)[0], lambda lines: lines[1:])
    with pytest.raises(DataError, match=r"train_3\.txt: got 1 image\(s\) in neither list"):
        official_folds(release, release.load().images)


def test_an_image_that_no_fold_holds_out_is_an_error(release):
    train, test = lists_of(release.root, 5)
    moved = test.read_text().splitlines(keepends=True)[0]
    edit(test, lambda lines: lines[1:])
    edit(train, lambda lines: [*lines, moved])
    with pytest.raises(DataError, match=r"got 1 image\(s\) held out by no fold"):
        official_folds(release, release.load().images)


def test_a_list_whose_score_disagrees_with_all_labels_is_an_error(release):
    edit(lists_of(release.root, 4)[1], lambda lines: [lines[0].split()[0] + " 5.0\n", *lines[1:]])
    with pytest.raises(DataError, match="with another score than in All_labels"):
        official_folds(release, release.load().images)


def test_a_list_with_an_unknown_image_is_an_error(release):
    edit(lists_of(release.root, 1)[0], lambda lines: [*lines, "AF99.jpg 3.0\n"])
    with pytest.raises(DataError, match=r"not in All_labels, AF99\.jpg first"):
        official_folds(release, release.load().images)


def test_a_missing_list_is_an_error(release):
    lists_of(release.root, 5)[1].unlink()
    with pytest.raises(DataError, match=r"test_5\.txt: got nothing there"):
        official_folds(release, release.load().images)


def test_official_folds_need_a_source_that_has_them(tmp_path):
    table = ScoreTable(root=tmp_path, table=Path("scores.csv"), min_score=1, max_score=5)
    with pytest.raises(DataError, match=r"official, for data that has no official folds"):
        split_folds(table, pd.DataFrame(), fold_config(FoldKind.OFFICIAL))
