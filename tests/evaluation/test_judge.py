"""The judge answers as the model does, pair by pair, and both orders of a pair alike."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from lmol.config.schema import Precision, Quantization
from lmol.data.evaluation_pairs import all_pairs
from lmol.data.pairs_table import pairs_table
from lmol.errors import DiskError, TrainingError
from lmol.evaluation import judge as module
from lmol.evaluation.answers import average_orders
from lmol.evaluation.judge import Judge, _share, fingerprint, judge
from lmol.evaluation.part_file import PartFile
from lmol.evaluation.questions import rows_of
from lmol.model.features import PixelImages, cache_features
from lmol.model.vlm.comparer import Comparer
from lmol.model.vlm.scorer import room
from lmol.verdict import SWAPPED
from tests.tiny import build_tiny, tiny_backbone


@pytest.fixture(scope="module")
def pairs(faces):
    return all_pairs(faces[:9], theta=0.2)


@pytest.fixture
def images(comparer, faces):
    return cache_features(comparer.encoder, faces, lambda images: None)


def test_probabilities_are_those_of_the_forward_pass(comparer, pairs, images):
    judged = judge(comparer, pairs, images, batch_pairs=7)
    features = torch.stack(
        [images.read([a, b]) for a, b in zip(pairs["img1"], pairs["img2"], strict=True)]
    )
    with torch.no_grad():
        expected = comparer(features=features).softmax(-1).numpy()
    assert judged.shape == (36, 2, 3)
    np.testing.assert_allclose(judged, expected, atol=1e-6)


@pytest.mark.parametrize("batch_pairs", [1, 5, 100])
def test_the_batch_size_plays_no_part(comparer, pairs, images, batch_pairs):
    expected = judge(comparer, pairs, images, batch_pairs=36)
    np.testing.assert_allclose(judge(comparer, pairs, images, batch_pairs), expected, atol=1e-6)


def test_pixels_and_cached_features_are_judged_alike(comparer, pairs, images, faces):
    pixels = PixelImages(comparer.encoder.preprocess, faces)
    np.testing.assert_allclose(
        judge(comparer, pairs, pixels, 36), judge(comparer, pairs, images, 36), atol=1e-6
    )


@pytest.mark.parametrize("batch_pairs", [1, 5, 100])
def test_swapping_the_images_swaps_the_averaged_probabilities_exactly(
    comparer, pairs, images, batch_pairs
):
    swapped = pairs.rename(columns={"img1": "img2", "img2": "img1"})
    one = average_orders(judge(comparer, pairs, images, batch_pairs))
    other = average_orders(judge(comparer, swapped, images, batch_pairs))
    np.testing.assert_array_equal(one, other[:, list(SWAPPED)])


def test_a_pair_that_is_there_twice_is_asked_once(comparer, pairs, images, monkeypatch):
    expected = judge(comparer, pairs, images, batch_pairs=9)
    asked = count_answers(monkeypatch)
    twice = judge(comparer, pd.concat([pairs, pairs]), images, batch_pairs=9)
    np.testing.assert_array_equal(twice, np.concatenate([expected, expected]))
    assert sum(asked) == 2 * len(pairs)


def test_the_prefix_of_each_first_image_is_read_once(comparer, pairs, images, monkeypatch):
    read = []
    whole = Comparer.read_first

    def counted(self, first):
        read.append(len(first))
        return whole(self, first)

    monkeypatch.setattr(Comparer, "read_first", counted)
    judge(comparer, pairs, images, batch_pairs=4)
    assert sum(read) == 9


def test_judging_leaves_no_trace(comparer, pairs, images):
    comparer.train()
    before = {name: p.clone() for name, p in comparer.named_parameters()}
    judged, again = (judge(comparer, pairs, images, batch_pairs=9) for _ in range(2))
    assert comparer.training
    np.testing.assert_array_equal(judged, again)  # no dropout
    assert all(torch.equal(p, before[name]) for name, p in comparer.named_parameters())
    assert all(p.grad is None for p in comparer.parameters())


def test_progress_counts_every_pair(comparer, pairs, images):
    counted: list[int] = []
    judge(comparer, pairs, images, 10, counted.append)
    assert sum(counted) == len(pairs)


def count_answers(monkeypatch, most=None):
    """Records the size of every forward; one of more than `most` runs out of memory."""
    asked = []
    answer = Comparer.answer_second

    def counted(self, first, rows, images):
        if most is not None and len(images) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        asked.append(len(images))
        return answer(self, first, rows, images)

    monkeypatch.setattr(Comparer, "answer_second", counted)
    return asked


def test_the_batch_is_halved_until_it_fits(comparer, pairs, images, monkeypatch):
    expected = judge(comparer, pairs, images, batch_pairs=36)
    asked = count_answers(monkeypatch, most=3)
    found = judge(comparer, pairs, images, batch_pairs=16)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert sum(asked) == 2 * len(pairs)
    assert max(asked) <= 3


def test_prefixes_that_do_not_fit_are_read_in_smaller_blocks(comparer, faces, images, monkeypatch):
    """A ring: every image comes first in two questions, so a block has many first images."""
    ring = pairs_table(faces, np.arange(40), (np.arange(40) + 1) % 40, 0.2)
    expected = judge(comparer, ring, images, batch_pairs=64)
    whole, blocks = Comparer.read_first, []

    def limited(self, first):
        if len(first) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        blocks.append(len(first))
        return whole(self, first)

    monkeypatch.setattr(Comparer, "read_first", limited)
    found = judge(comparer, ring, images, batch_pairs=64)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert sum(blocks) == 40
    assert max(blocks) >= 3


def test_a_single_pair_that_does_not_fit_is_an_error(comparer, pairs, images, monkeypatch):
    count_answers(monkeypatch, most=0)
    with pytest.raises(torch.OutOfMemoryError):
        judge(comparer, pairs, images, batch_pairs=16)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("batch_pairs", [4, 20])
def test_resumed_is_uninterrupted(comparer, pairs, images, tmp_path, monkeypatch, batch_pairs):
    uninterrupted = judge(comparer, pairs, images, batch_pairs)
    seal = fingerprint(comparer, pairs, "data")
    names, first, second = rows_of(pairs)

    for _ in range(2):
        kept = Judge(comparer, names, images, batch_pairs)
        with pytest.raises(Killed), PartFile(tmp_path, seal) as part:
            kept.compare(first, second, kill_after(30), part)
    asked = count_answers(monkeypatch)
    with PartFile(tmp_path, seal) as part:
        kept = Judge(comparer, names, images, batch_pairs)
        resumed = kept.compare(first, second, part=part)
    np.testing.assert_array_equal(resumed, uninterrupted)
    assert 0 < sum(asked) < 2 * len(pairs)


def kill_after(num):
    """Progress that ends it all once `num` pairs are done, those from before not counted."""
    done = []

    def advance(units):
        done.append(units)
        if sum(done[1:]) >= num / 3:
            raise Killed

    return advance


def test_the_part_of_another_comparer_or_of_other_pairs_is_not_taken(comparer, pairs):
    seal = fingerprint(comparer, pairs, "data")
    assert seal == fingerprint(comparer, pairs, "data")
    others = [fingerprint(comparer, pairs, "other data"), fingerprint(comparer, pairs[1:], "data")]
    with torch.no_grad():
        next(p for p in comparer.parameters() if p.requires_grad).add_(1e-3)
    others.append(fingerprint(comparer, pairs, "data"))
    assert len({seal, *others}) == 4


@pytest.mark.parametrize("quantization", ["nf4", "none"])
def test_half_precision_and_4_bit_are_judged_as_the_plain_forward(faces, pairs, quantization):
    backbone = tiny_backbone(dtype=Precision.BF16, quantization=Quantization(quantization))
    comparer = build_tiny(backbone)
    store = cache_features(comparer.encoder, faces, lambda num: None)
    names = [[a, b] for a, b in zip(pairs["img1"], pairs["img2"], strict=True)]
    with torch.no_grad():
        expected = comparer(features=torch.stack([store.read(two) for two in names]))
    found = judge(comparer, pairs, store, batch_pairs=7)
    # Eight bits of mantissa: keys of a prefix and of a whole prompt round differently.
    np.testing.assert_allclose(found, expected.softmax(-1).numpy(), atol=0.02)


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_what_is_left(monkeypatch, processes):
    blocks = [slice(start, start + 10) for start in range(0, 200, 10)]
    answered = np.zeros(200, dtype=bool)
    answered[:100] = True
    shares = []
    for index in range(processes):
        state = SimpleNamespace(process_index=index, num_processes=processes)
        monkeypatch.setattr(module, "process_state", lambda state=state: state)
        shares.append(_share(blocks, answered, logged=True))
    together = sorted(block.start for share in shares for block in share)
    assert together == list(range(100, 200, 10))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_images_that_do_not_fit_in_memory_stand_in_a_file(comparer, pairs, images, monkeypatch):
    expected = judge(comparer, pairs, images, batch_pairs=36)
    mapped, files = torch.from_file, []

    def counted(name, **options):
        files.append(name)
        return mapped(name, **options)

    monkeypatch.setattr(torch, "from_file", counted)
    found = judge(comparer, pairs, images, batch_pairs=36, memory_gb=1e-6)
    np.testing.assert_array_equal(found, expected)
    assert len(files) == 1
    assert not Path(files[0]).exists()


def test_rounds_of_questions_share_the_embedded_images(comparer, pairs, images):
    names, first, second = rows_of(pairs)
    rounds = Judge(comparer, names, images, batch_pairs=8)
    parts = [rounds.compare(first[part], second[part]) for part in (slice(10), slice(10, None))]
    expected = judge(comparer, pairs, images, batch_pairs=8)
    np.testing.assert_allclose(np.concatenate(parts), expected, atol=1e-6)


def test_a_model_that_diverged_is_reported(comparer, pairs, images):
    with torch.no_grad():
        comparer.base.model.model.multi_modal_projector.linear_1.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="probabilities that are not finite"):
        judge(comparer, pairs, images, batch_pairs=9)


def test_images_for_which_the_temporary_folder_has_no_room_are_refused():
    """A file with holes would be made, and the write that finds no room ends the process."""
    with pytest.raises(DiskError, match=r"images beyond eval\.memory_gb"):
        room(torch.Size([10**15]), torch.float32, memory_gb=0)
