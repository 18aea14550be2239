"""Votes on pairs of images become labels, whichever image the votes named first."""

import numpy as np
import pandas as pd
import pytest

from lmol.data.data_set import DataSet
from lmol.data.evaluation_pairs import Sample
from lmol.data.pairs import UniformPairs
from lmol.data.voted_pairs import VotedPairs
from lmol.errors import DataError

IMAGES = pd.DataFrame({"image": list("abcdef")})
VOTES = pd.DataFrame(
    {
        "image_a": ["a", "c", "a", "d"],
        "image_b": ["b", "b", "c", "f"],
        "a": [3, 0, 1, 2],
        "tie": [1, 0, 0, 0],
        "b": [0, 2, 1, 0],
    }
)
DATA = DataSet(images=IMAGES, comparisons=VOTES)
ALL = Sample(num=None, seed=0)


def labels(pairs: pd.DataFrame) -> dict[frozenset[str], tuple[str, float, float]]:
    """Return the image that most votes prefer, its share, and the weight, by pair."""
    found = {}
    for _, row in pairs.iterrows():
        winner = {"First": row["img1"], "Second": row["img2"], "Similar": ""}[row["label"]]
        share = max(row["p_first"], row["p_second"])
        found[frozenset((row["img1"], row["img2"]))] = (winner, share, row["weight"])
    return found


def test_labels_are_shares_of_the_votes_and_weights_their_numbers() -> None:
    pairs = VotedPairs().evaluation(DATA, IMAGES, 0.0, ALL)
    np.testing.assert_allclose(pairs[["p_first", "p_second", "p_similar"]].sum(axis=1), 1)
    assert labels(pairs) == {
        frozenset("ab"): ("a", 0.75, 4 / 2.5),
        frozenset("bc"): ("b", 1.0, 2 / 2.5),
        frozenset("ac"): ("", 0.5, 2 / 2.5),  # a tied vote
        frozenset("df"): ("d", 1.0, 2 / 2.5),
    }


def test_the_side_on_which_votes_name_an_image_has_no_effect() -> None:
    exchanged = VOTES.rename(
        columns={"image_a": "image_b", "image_b": "image_a", "a": "b", "b": "a"}
    )
    other = DataSet(images=IMAGES, comparisons=exchanged)
    one, two = (VotedPairs().evaluation(data, IMAGES, 0.0, ALL) for data in (DATA, other))
    pd.testing.assert_frame_equal(one, two)


def test_comparisons_across_parts_are_in_no_part_and_counted() -> None:
    parts = [IMAGES[:2], IMAGES[2:]]
    found = [VotedPairs().evaluation(DATA, part, 0.0, ALL) for part in parts]
    assert [len(pairs) for pairs in found] == [1, 1]
    assert VotedPairs().num_dropped(DATA, parts) == 2


def test_training_pairs_are_all_pairs_in_a_seeded_order() -> None:
    one, same, other = (VotedPairs().training(DATA, IMAGES, 0.0, seed) for seed in (1, 1, 3))
    pd.testing.assert_frame_equal(one, same)
    assert labels(one) == labels(other)
    assert one["img1"].tolist() != other["img1"].tolist()
    assert len(VotedPairs().evaluation(DATA, IMAGES, 0.0, Sample(num=2, seed=0))) == 2


def test_what_does_not_fit_together_is_an_error() -> None:
    scored = DataSet(images=IMAGES.assign(score=1.0))
    with pytest.raises(DataError, match="got votes, for a source without comparisons"):
        VotedPairs().training(scored, IMAGES, 0.0, seed=0)
    with pytest.raises(DataError, match="no comparison between two of the 2 images"):
        VotedPairs().training(DATA, IMAGES[3:5], 0.0, seed=0)
    with pytest.raises(DataError, match="labels from scores, for images without scores"):
        UniformPairs(num_pairs=3).training(DATA, IMAGES, 0.2, seed=0)
