"""A batch keeps a pair and its swap together."""

import pandas as pd
import torch

from lmol.data.collator import PairCollator
from lmol.data.dataset import PairDataset
from lmol.verdict import Verdict


def test_a_row_is_two_images_and_the_verdict():
    images = {name: torch.full((2,), float(k)) for k, name in enumerate("abc")}
    pairs = pd.DataFrame({"img1": ["a", "c"], "img2": ["b", "a"], "label": ["Second", "Similar"]})
    dataset = PairDataset(pairs, images)
    assert len(dataset) == 2
    first, second, verdict = dataset[1]
    assert (first[0].item(), second[0].item(), verdict) == (2.0, 0.0, Verdict.SIMILAR)


def test_a_batch_has_a_target_for_each_order_of_each_pair():
    pairs = [(torch.zeros(2, 4), torch.ones(2, 4), int(verdict)) for verdict in Verdict]
    batch = PairCollator(image_key="features")(pairs)
    assert batch["features"].shape == (3, 2, 2, 4)
    assert batch["targets"].tolist() == [[0, 1], [1, 0], [2, 2]]
    half = {key: tensor[:1] for key, tensor in batch.items()}
    assert half["features"].shape[:2] == half["targets"].shape == (1, 2)
