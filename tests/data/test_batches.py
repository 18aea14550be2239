"""A batch keeps a pair and its swap together."""

import pandas as pd
import torch

from lmol.data.collator import PairCollator, PairDataset
from lmol.verdict import Verdict


def test_a_row_is_two_images_and_a_target():
    images = {name: torch.full((2,), float(k)) for k, name in enumerate("abc")}
    pairs = pd.DataFrame({"img1": ["a", "c"], "img2": ["b", "a"], "label": ["Second", "Similar"]})
    dataset = PairDataset(pairs, images)
    assert len(dataset) == 2
    first, second, target = dataset[1]
    assert (first[0].item(), second[0].item()) == (2.0, 0.0)
    assert target.tolist() == [0.0, 0.0, 1.0, 1.0]  # sure to be Similar, of weight 1


def test_votes_are_shares_and_weights():
    images = {name: torch.zeros(2) for name in "ab"}
    pairs = pd.DataFrame({"img1": ["a"], "img2": ["b"], "label": ["First"], "weight": [1.5],
                          "p_first": [0.75], "p_second": [0.0], "p_similar": [0.25]})  # fmt: skip
    _, _, target = PairDataset(pairs, images)[0]
    assert target.tolist() == [0.75, 0.0, 0.25, 1.5]


def test_a_batch_has_a_target_for_each_order_of_each_pair():
    rows = torch.cat([torch.eye(3), torch.ones(3, 1)], dim=1)
    pairs = [(torch.zeros(2, 4), torch.ones(2, 4), rows[verdict]) for verdict in Verdict]
    batch = PairCollator(image_key="features")(pairs)
    assert batch["features"].shape == (3, 2, 2, 4)
    assert batch["targets"].argmax(-1).tolist() == [[0, 1], [1, 0], [2, 2]]
    assert batch["weights"].tolist() == [1.0] * 3
    half = {key: tensor[:1] for key, tensor in batch.items()}
    assert half["features"].shape[:2] == half["targets"].shape[:2] == (1, 2)
