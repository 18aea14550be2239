"""Training pairs are balanced, spread over the gaps, never repeated, evenly oriented, seeded."""

import io
import re
from dataclasses import replace
from math import comb

import numpy as np
import pandas as pd
import pytest
from scipy.sparse.csgraph import connected_components

from lmol.data.data_set import DataSet
from lmol.data.evaluation_pairs import Sample, all_pairs, sampled_pairs
from lmol.data.pairs import IntervalPairs, UniformPairs, fair_shares
from lmol.data.pairs_table import pairs_csv
from lmol.errors import DataError
from lmol.verdict import label_pairs

THETA = 0.2


@pytest.fixture(scope="module")
def images():
    scores = np.random.default_rng(0).normal(3, 0.7, 200).clip(1, 5).round(6)
    return pd.DataFrame({"image": [f"i{k}" for k in range(200)], "score": scores})


def training_pairs(images, policy, theta, seed):
    return policy.training(DataSet(images=images), images, theta, seed)


def sampled(images, num, seed):
    return sampled_pairs(images, THETA, Sample(num=num, seed=seed))


def interval(num_pairs=3000, **changes):
    settings = {"num_intervals": 10, "near_ratio": 0.5, "near_band": 0.15}
    return IntervalPairs(num_pairs=num_pairs, **{**settings, **changes})


SCHEDULES = [interval(), UniformPairs(num_pairs=3000)]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=["interval", "uniform"])
class TestEverySchedule:
    def test_a_third_of_the_pairs_for_each_class(self, images, schedule):
        pairs = training_pairs(images, schedule, THETA, seed=1)
        assert pairs["label"].value_counts().to_dict() == dict.fromkeys(
            ("First", "Second", "Similar"), 1000
        )

    def test_no_image_meets_itself_and_no_two_images_meet_twice(self, images, schedule):
        pairs = training_pairs(images, schedule, THETA, seed=1)
        unordered = [frozenset(row) for row in zip(pairs["img1"], pairs["img2"], strict=True)]
        assert {len(pair) for pair in unordered} == {2}
        assert len(set(unordered)) == len(pairs)

    def test_similar_pairs_have_either_orientation_equally_often(self, images, schedule):
        pairs = training_pairs(images, schedule, THETA, seed=1)
        similar = pairs[pairs["label"] == "Similar"]
        place = pd.Index(images["image"])
        ascending = place.get_indexer(similar["img1"]) < place.get_indexer(similar["img2"])
        assert ascending.mean() == 0.5

    def test_the_place_in_the_score_table_tells_nothing_about_the_answer(self, images, schedule):
        pairs = training_pairs(images, schedule, THETA, seed=1)
        place = pd.Index(images["image"])
        ascending = place.get_indexer(pairs["img1"]) < place.get_indexer(pairs["img2"])
        first = ascending[pairs["label"] == "First"]
        assert abs(first.mean() - 0.5) < 0.05

    def test_the_same_seed_gives_the_same_pairs(self, images, schedule):
        one, same, other = (training_pairs(images, schedule, THETA, seed=s) for s in (1, 1, 2))
        pd.testing.assert_frame_equal(one, same)
        assert not one.equals(other)

    def test_labels_follow_the_rule(self, images, schedule):
        pairs = training_pairs(images, schedule, THETA, seed=1)
        titles = np.array(["First", "Second", "Similar"])
        expected = titles[label_pairs(pairs["score1"], pairs["score2"], THETA)]
        assert pairs["label"].tolist() == expected.tolist()


def test_intervals_of_the_gap_get_equally_many_where_they_can(images):
    pairs = training_pairs(images, interval(num_pairs=600), THETA, seed=1)
    gap = (pairs["score1"] - pairs["score2"]).abs()
    different = gap[pairs["label"] != "Similar"]
    possible = all_pairs(images, THETA)
    largest = (possible["score1"] - possible["score2"]).abs().max()
    counts = np.histogram(different, np.linspace(THETA, largest, 11))[0]
    assert counts[:7].max() - counts[:7].min() <= 1
    uniform = training_pairs(images, UniformPairs(num_pairs=600), THETA, seed=1)
    uniform_gap = (uniform["score1"] - uniform["score2"]).abs()
    assert different.mean() > 1.3 * uniform_gap[uniform["label"] != "Similar"].mean()


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_near_ratio_of_the_similar_pairs_come_from_the_near_band(images, ratio):
    pairs = training_pairs(images, interval(num_pairs=600, near_ratio=ratio), THETA, seed=1)
    similar = pairs[pairs["label"] == "Similar"]
    near = (similar["score1"] - similar["score2"]).abs().round(9) >= 0.15
    assert near.mean() == ratio


def test_a_band_with_too_few_pairs_is_filled_from_the_rest():
    scores = pd.DataFrame({"image": list("abcdef"), "score": [1.0, 1.16, 1.32, 3.0, 3.16, 3.32]})
    pairs = training_pairs(scores, interval(num_pairs=12, near_ratio=0.0), THETA, seed=0)
    assert (pairs["label"] == "Similar").sum() == 4


@pytest.mark.parametrize(
    ("available", "num", "shares"),
    [([9, 9, 9], 6, [2, 2, 2]), ([1, 9, 9], 9, [1, 4, 4]), ([0, 2, 9], 8, [0, 2, 6])],
)
def test_scarce_intervals_give_all_and_the_others_share(available, num, shares):
    assert fair_shares(available, num) == shares
    assert sum(shares) == num


@pytest.mark.parametrize("schedule", [interval(num_pairs=30_000), UniformPairs(num_pairs=30_000)])
def test_more_pairs_than_there_are_is_an_error_that_says_how_many(images, schedule):
    counts = all_pairs(images, THETA)["label"].value_counts()
    similar, others = counts["Similar"], counts["First"] + counts["Second"]
    made = f"make {similar} Similar pairs and {others} others"
    with pytest.raises(DataError, match=made) as error:
        training_pairs(images, schedule, THETA, seed=0)
    most = int(re.findall(r"at most (\d+)", str(error.value))[0])
    assert len(training_pairs(images, replace(schedule, num_pairs=most), THETA, seed=0)) == most
    with pytest.raises(DataError, match=f"at most {most}"):
        training_pairs(images, replace(schedule, num_pairs=most + 1), THETA, seed=0)


def test_evaluation_asks_every_unordered_pair_once(images):
    pairs = all_pairs(images, THETA)
    assert len(pairs) == comb(200, 2)
    assert len({frozenset(p) for p in zip(pairs["img1"], pairs["img2"], strict=True)}) == len(pairs)


def oriented(pairs):
    return set(zip(pairs["img1"], pairs["img2"], strict=True))


@pytest.mark.parametrize("ascending", [True, False])
def test_a_table_sorted_by_score_gives_first_as_often_as_second(ascending):
    """Also where the names are numbered in the order of the scores."""
    scores = pd.DataFrame({"score": np.random.default_rng(0).normal(3, 0.7, 200)})
    scores = scores.sort_values("score", ascending=ascending, ignore_index=True)
    scores["image"] = [f"{row:03d}.jpg" for row in range(200)]
    counts = all_pairs(scores, THETA)["label"].value_counts()
    assert counts["First"] / (counts["First"] + counts["Second"]) == pytest.approx(0.5, abs=0.02)


def test_no_image_is_always_first_or_always_second(images):
    share = all_pairs(images, THETA)["img1"].value_counts().reindex(images["image"], fill_value=0)
    assert (share / 199).between(0.3, 0.7).all()  # six SDs of a fair coin


def test_which_image_comes_first_depends_on_the_pair_alone(images):
    whole = oriented(all_pairs(images, THETA))
    shuffled = images.sample(frac=1, random_state=1, ignore_index=True)
    assert oriented(all_pairs(shuffled, THETA)) == whole
    assert oriented(all_pairs(images.iloc[50:], THETA)) < whole
    assert oriented(sampled(shuffled, 500, seed=1)) < whole


def test_a_sample_of_the_pairs_is_seeded_and_part_of_them(images):
    whole = set(zip(*all_pairs(images, THETA)[["img1", "img2"]].to_numpy().T, strict=True))
    one, same, other = (sampled(images, 500, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)
    drawn = set(zip(one["img1"], one["img2"], strict=True))
    assert len(drawn) == 500
    assert drawn <= whole


@pytest.mark.parametrize("num", [199, 250, 19_900])
def test_a_sample_connects_all_images(images, num):
    drawn = sampled(images, num, seed=3)
    graph = np.eye(200)
    row = pd.Index(images["image"])
    graph[row.get_indexer(drawn["img1"]), row.get_indexer(drawn["img2"])] = 1
    assert len(drawn.drop_duplicates(["img1", "img2"])) == num
    assert connected_components(graph, directed=False)[0] == 1


def test_every_pair_is_as_likely_in_a_sample():
    images = pd.DataFrame({"image": list("abcde"), "score": [1.0, 2.0, 3.0, 4.0, 5.0]})
    counts = pd.concat([sampled(images, 6, seed) for seed in range(2000)])
    shares = counts.groupby(["img1", "img2"]).size() / 2000
    assert len(shares) == 10
    np.testing.assert_allclose(shares, 0.6, atol=0.05)  # four SDs


@pytest.mark.parametrize("num", [198, 20_000])
def test_a_sample_of_too_many_or_too_few_pairs_is_an_error(images, num):
    with pytest.raises(DataError, match=r"at least 199, .*at most the 19900 pairs"):
        sampled(images, num, seed=0)


def test_a_pair_file_reads_back_exactly():
    scores = pd.DataFrame(
        {"image": ['a, "b".jpg', "c.jpg", "d e.jpg"], "score": [1.016667, 1 / 3, 4.75]}
    )
    pairs = all_pairs(scores, THETA)
    text = pairs_csv(pairs)
    assert text.startswith("img1,img2,score1,score2,label\n")
    pd.testing.assert_frame_equal(
        pd.read_csv(io.StringIO(text)), pairs, check_exact=True, check_dtype=False
    )
    assert text == pairs.to_csv(index=False, lineterminator="\n")
