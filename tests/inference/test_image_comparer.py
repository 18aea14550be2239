"""Three lines: load a trained comparer, compare two images, rank many."""

import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lmol.config import load_config
from lmol.data.evaluation_pairs import all_pairs
from lmol.data.images import open_rgb
from lmol.errors import CheckpointError, DataError, RunFolderError
from lmol.evaluation.judge import judge
from lmol.evaluation.ranked import Validation
from lmol.inference.comparer import ImageComparer
from lmol.inference.loading import load_comparer
from lmol.model.checkpoint import save_checkpoint
from lmol.model.features import PixelImages, features_of
from lmol.model.references import References
from tests.tiny import tiny_backbone


@pytest.fixture
def asked(comparer):
    defaults = load_config()
    return ImageComparer(comparer, ranking=defaults.ranking, judging=defaults.eval)


def test_paths_pictures_and_arrays_are_compared_alike(asked, faces):
    first, second = faces["path"][:2]
    expected = asked.compare(first, second)
    pictures = [Image.open(path) for path in (first, second)]
    arrays = [np.asarray(picture.convert("RGB")) for picture in pictures]
    for a, b in (pictures, arrays, [array / 255 for array in arrays]):
        found = asked.compare(a, b)
        assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-6)
        assert found.verdict is expected.verdict


def test_the_answer_to_swapped_images_is_the_swapped_answer(asked, faces):
    first, second = faces["path"][:2]
    one, other = asked.compare(first, second), asked.compare(second, first)
    assert (one.p_first, one.p_second, one.p_similar) == (
        other.p_second,
        other.p_first,
        other.p_similar,
    )
    assert sum(one.probabilities.values()) == pytest.approx(1)
    assert one.consistent == other.consistent


@pytest.mark.pictures
def test_a_notebook_shows_a_picture(asked, faces):
    shown = asked.compare(*faces["path"][:2])._repr_png_()
    with Image.open(io.BytesIO(shown)) as picture:
        assert picture.format == "PNG"
        assert picture.width > 500


def test_a_list_a_folder_and_a_table_are_ranked_alike(asked, faces, tmp_path):
    paths = faces["path"][:8].tolist()
    for path in paths:
        open_rgb(path).save(tmp_path / path.rpartition("/")[2])
    table = pd.DataFrame({"image": paths})
    ranked = [asked.rank(images, pairing="all").table for images in (paths, table, tmp_path)]
    names = [table["image"].str.rpartition("/")[2].tolist() for table in ranked]
    assert names[0] == names[1] == names[2]
    assert "estimate" not in ranked[0]
    assert "<table" in asked.rank(paths)._repr_html_()


def test_a_budget_is_kept(asked, faces):
    ranked = asked.rank(faces["path"].tolist(), pairing="random", pairs_per_image=4)
    assert len(ranked.comparisons) == 60 * 4 // 2
    assert len(ranked.table) == 60


@pytest.fixture
def references(comparer, faces):
    store = PixelImages(comparer.encoder.preprocess, faces)
    known = faces[40:52].sort_values("score")
    features = features_of(comparer.encoder, store, known["image"].tolist())
    return References(
        names=known["image"].tolist(), scores=known["score"].to_numpy(), features=features
    )


def test_references_place_images_on_the_score_scale(asked, comparer, faces, references):
    """A reference that is ranked itself is estimated on the line through all references."""
    placing = replace(asked, references=references)
    ranked = placing.rank(faces["path"][:20].tolist(), pairing="all")
    fitted = np.polyfit(ranked.table["strength"], ranked.table["estimate"], 1)
    np.testing.assert_allclose(
        np.polyval(fitted, ranked.table["strength"]), ranked.table["estimate"], atol=1e-9
    )
    assert fitted[0] == pytest.approx(ranked.slope)
    assert set(ranked.table["image"]) == set(faces["path"][:20])
    assert len(ranked.comparisons) == 32 * 31 // 2


def test_with_reference_pairing_other_images_play_no_part(asked, faces, references):
    """The order of two images depends only on their comparisons with the references."""
    store = PixelImages(asked.model.encoder.preprocess, faces)
    pairs = all_pairs(faces[40:52], theta=0.2)
    probabilities = judge(asked.model, pairs, store, 64)
    validation = Validation(pairs=pairs, probabilities=probabilities, mean_score=3.0)
    placing = replace(asked, references=references, validation=validation)
    few, many = (
        placing.rank(faces["path"][:num].tolist(), pairing="reference").comparisons
        for num in (5, 20)
    )
    merged = few.merge(many, on=["img1", "img2"], suffixes=("", "_many"))
    assert len(merged) == 5 * 12
    np.testing.assert_allclose(merged["p_first"], merged["p_first_many"], atol=1e-6)


def test_reference_pairing_without_references_is_refused_before_images_are_read(asked):
    with pytest.raises(DataError, match="of a checkpoint that carries 0"):
        asked.rank(["no_such_file.png", "nor_this.png"], pairing="reference")


def test_references_are_saved_exactly(references, tmp_path):
    references.save(tmp_path)
    loaded = References.load(tmp_path)
    assert loaded is not None
    assert loaded.names == references.names
    np.testing.assert_array_equal(loaded.scores, references.scores)
    np.testing.assert_array_equal(loaded.features.numpy(), references.features.numpy())


BAD_ARRAYS = {
    "channels first": np.zeros((3, 8, 8), np.uint8),
    "whole numbers": np.zeros((8, 8, 3), np.int64),
    "real numbers beyond 1": np.full((8, 8, 3), 2.0),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_an_array_that_is_no_picture_is_refused(asked, name):
    with pytest.raises(DataError, match="image array"):
        asked.compare(BAD_ARRAYS[name], BAD_ARRAYS[name])


def test_an_unknown_setting_is_refused(asked, faces):
    with pytest.raises(DataError, match="settings of the config group ranking"):
        asked.rank(faces["path"][:3].tolist(), pairing="swiss")
    with pytest.raises(DataError, match="settings of the config group ranking"):
        asked.rank(faces["path"][:3].tolist(), rounds=3)


def test_a_checkpoint_folder_is_enough(asked, comparer, faces, tmp_path):
    recipe = dict(comparer.spec)
    recipe["model"]["backbone"] = load_config().model["backbone"]
    save_checkpoint(comparer, tmp_path / "copied", {"step": 1})
    loaded = load_comparer(tmp_path / "copied")
    first, second = faces["path"][:2]
    assert loaded.compare(first, second) == asked.compare(first, second)


def test_a_folder_without_a_run_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunFolderError, match="no finished run below"):
        load_comparer()
    with pytest.raises(RunFolderError, match="no run in it"):
        load_comparer("nowhere")
    (tmp_path / "meta.json").write_text("{}")
    with pytest.raises(CheckpointError, match="lacks comparer, base or keys"):
        load_comparer(tmp_path)


def test_another_base_is_refused(comparer, tmp_path):
    comparer.spec["model"]["backbone"] = load_config().model["backbone"]
    save_checkpoint(comparer, tmp_path / "checkpoint", {"step": 1})
    other = tiny_backbone().load()
    other.model.lm_head.weight.data[::7] += 1.0
    other.model.save_pretrained(tmp_path / "base")
    other.processor.save_pretrained(tmp_path / "base")
    with pytest.raises(CheckpointError, match="a base with other weights"):
        load_comparer(tmp_path / "checkpoint", weights=str(tmp_path / "base"))


def test_importing_the_package_loads_no_model_library():
    code = "import lmol, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
