"""Drawn faces: deterministic, scored only by their features, with groups that do not differ."""

import json

import numpy as np
import pandas as pd
import pytest

from lmol.data.images import open_rgb
from lmol.data.sources.faces import SIGNED_NUISANCES, UNIT_NUISANCES, draw_face, sample_faces
from lmol.data.sources.synthetic import PARAMETERS, SyntheticFaces, groups, latent_score, rate
from lmol.errors import DataError

MANY = 20_000


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("drawn")
    return SyntheticFaces(root=root, num_images=30, image_size=64, seed=3)


def test_the_same_seed_gives_the_same_pictures_and_scores(drawn, tmp_path):
    again = SyntheticFaces(root=tmp_path, num_images=30, image_size=64, seed=3)
    pd.testing.assert_frame_equal(
        drawn.load().images.drop(columns="path"), again.load().images.drop(columns="path")
    )
    for name in drawn.load().images["image"]:
        assert (drawn.folder / name).read_bytes() == (again.folder / name).read_bytes()


def test_another_seed_gives_other_faces(tmp_path):
    scores = [
        SyntheticFaces(root=tmp_path, num_images=10, image_size=16, seed=seed)
        .load()
        .images["score"]
        for seed in (1, 2)
    ]
    assert not scores[0].equals(scores[1])


def test_parameters_group_and_score_stand_beside_the_images(drawn):
    scores = drawn.load().images
    table = pd.read_csv(drawn.folder / PARAMETERS)
    assert {"image", "score", "latent", "group", "eye_size", "smile", "yaw"} <= set(table.columns)
    assert table["score"].tolist() == scores["score"].tolist()
    assert {open_rgb(path).size for path in scores["path"]} == {(64, 64)}


def test_faces_are_drawn_once(drawn):
    first = drawn.load().images["path"][0]
    before = json.dumps(str(drawn.folder.stat().st_mtime_ns))
    assert drawn.load().images["path"][0] == first
    assert json.dumps(str(drawn.folder.stat().st_mtime_ns)) == before


def test_a_drawing_that_was_cut_off_is_not_taken_for_whole(drawn, tmp_path):
    again = SyntheticFaces(root=tmp_path, num_images=10, image_size=16, seed=0)
    (tmp_path / ".drawing_cut_off").mkdir()
    (tmp_path / ".drawing_cut_off" / "face00000.png").write_bytes(b"half")
    assert len(again.load().images) == 10


def test_colours_hair_pose_and_light_do_not_move_the_score():
    faces = sample_faces(500, seed=0)
    before = latent_score(faces)
    for name in (*UNIT_NUISANCES, *SIGNED_NUISANCES, "side", "spot_seed"):
        faces[name] = np.roll(faces[name], 1)
    np.testing.assert_array_equal(latent_score(faces), before)


def test_nuisances_change_the_picture():
    face = {name: float(values[0]) for name, values in sample_faces(1, seed=1).items()}
    before = np.asarray(draw_face(face, 64))
    for name in (*UNIT_NUISANCES, *SIGNED_NUISANCES):
        other = {**face, name: face[name] - 0.5}
        assert (np.asarray(draw_face(other, 64)) != before).any(), name


def test_groups_do_not_differ_in_score():
    faces = sample_faces(MANY, seed=2)
    by_group = pd.Series(latent_score(faces)).groupby(groups(faces))
    assert by_group.ngroups == 4
    assert by_group.mean().std() < 0.03


def test_scores_are_means_of_sixty_whole_votes_like_those_of_scut():
    scores = rate(latent_score(sample_faces(MANY, seed=4)), np.random.default_rng(0))
    np.testing.assert_allclose(scores * 60, np.round(scores * 60), atol=1e-3)
    assert scores.min() >= 1
    assert scores.max() <= 5
    assert scores.mean() == pytest.approx(3.0, abs=0.15)  # SCUT-FBP5500: 2.99
    assert scores.std() == pytest.approx(0.69, abs=0.08)  # SCUT-FBP5500: 0.69


def test_a_root_that_cannot_be_written_is_an_error_that_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"data\.root: .*could not be drawn"):
        SyntheticFaces(root=tmp_path / "file", num_images=10, image_size=16, seed=0).load()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_others_may_read_the_drawn_faces(drawn):
    drawn.load()
    assert drawn.folder.stat().st_mode & 0o055 == 0o055
