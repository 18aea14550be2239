"""Results that tests remember are those of the real parts."""

import pytest
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from lmol.config.groups import CONF, add_experiments
from lmol.data.sources.faces import draw_face, sample_faces
from tests.remembered import STOCK_MODE, faces_drawn_once, mode_where_one_is_set


@pytest.fixture
def hydra():
    """Hydra as a command has it, before it composes anything."""
    add_experiments()
    with initialize_config_module(CONF, version_base="1.3"):
        yield GlobalHydra.instance().hydra


SEARCH = "hydra.searchpath=[file://mine]"


@pytest.mark.parametrize(
    ("overrides", "mode"),
    [
        (["task=rank", "++seed=1", "hydra.run.dir=run"], None),
        (["task=rank", "hydra.mode=MULTIRUN"], "MULTIRUN"),
        (["+sweep=lr"], "MULTIRUN"),
        (["+sweep=lr", "++seed=[", "hydra.run.dir=run"], None),  # cannot be read
        ([SEARCH, "+recipe=mine"], "MULTIRUN"),
    ],
)
def test_the_mode_is_the_one_that_hydra_finds(hydra, tmp_path, monkeypatch, overrides, mode):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine/recipe").mkdir(parents=True)
    recipe = tmp_path / "mine/recipe/mine.yaml"
    recipe.write_text("# @package _global_\nhydra: {mode: MULTIRUN}\n")
    remembered = mode_where_one_is_set(STOCK_MODE)
    for _ in range(2):
        found = remembered(hydra, "config", list(overrides))
        assert (found and found.name) == mode
        assert found == STOCK_MODE(hydra, "config", list(overrides))
    recipe.write_text("# @package _global_\nseed: 1\n")
    assert remembered(hydra, "config", [SEARCH, "+recipe=mine"]) is None


def test_the_same_face_is_the_same_picture_and_another_is_another():
    faces = sample_faces(2, seed=3)
    one, other = ({name: float(values[row]) for name, values in faces.items()} for row in (0, 1))
    draw = faces_drawn_once(draw_face)
    for face, size in ((one, 32), (other, 32), (one, 48), (one, 32)):
        assert draw(face, size).tobytes() == draw_face(face, size).tobytes()
