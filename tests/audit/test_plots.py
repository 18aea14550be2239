"""The picture of a step is the same for the same table, and shows zeros and missing gradients."""

import numpy as np
import pytest
from PIL import Image

from lmol.audit.flow import grouped
from lmol.audit.plots import FlowPicture, Marks

pytestmark = pytest.mark.pictures

MARKS = Marks(tiny=1e-12, clip=1.0, high=30.0, explosion=200.0)
BASE = "adapted.base_model.model.model."


def table(layers: int, size: float = 1e-4) -> dict[str, np.ndarray]:
    names: list[str] = []
    groups: list[str] = []
    places: list[int | None] = []
    for linear in ("linear_1", "linear_2"):
        names.append(f"{BASE}multi_modal_projector.modules_to_save.default.{linear}.weight")
        groups.append("projector")
        places.append(None)
    for layer in range(layers):
        for group in ("lora_A", "lora_B"):
            path = f"language_model.layers.{layer}.self_attn.q_proj.{group}.default.weight"
            names.append(BASE + path)
            groups.append(group)
            places.append(layer)
    sizes = size * (1 + np.arange(len(names)) / 10)
    return {
        "name": np.array(names, dtype=object),
        "group": np.array(groups, dtype=object),
        "layer": np.array(places, dtype=object),
        "mean_abs": sizes,
        "max_abs": 20 * sizes,
        "norm": 100 * sizes,
        "norm_clipped": 50 * sizes,
        "missing": np.zeros(len(names), bool),
    }


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("layers", [2, 32])
def test_the_same_table_gives_the_same_picture(tmp_path, layers):
    one, two = FlowPicture(MARKS), FlowPicture(MARKS)
    one.draw(table(layers), 1, tmp_path / "a.png")
    one.draw(table(layers, 2e-4), 2, tmp_path / "b.png")
    one.draw(table(layers), 1, tmp_path / "c.png")
    two.draw(table(layers), 1, tmp_path / "d.png")
    first = pixels(tmp_path / "a.png")
    assert first.shape == (630, 990, 3)
    assert (pixels(tmp_path / "c.png") == first).all()
    assert (pixels(tmp_path / "d.png") == first).all()
    assert (pixels(tmp_path / "b.png") != first).any()


def test_axes_grow_when_gradients_leave_them(tmp_path):
    def drawn(size):
        picture.draw(table(4, size), 1, tmp_path / "picture.png")
        return pixels(tmp_path / "picture.png")

    picture = FlowPicture(MARKS)
    small, similar, large, small_again = (drawn(size) for size in (1e-4, 2e-4, 10.0, 1e-4))
    labels = np.s_[:, :80]  # of the vertical axes
    assert (similar[labels] == small[labels]).all()
    assert (large[labels] != small[labels]).any()
    assert (small_again[labels] == large[labels]).all()  # axes never shrink


def test_zeros_and_missing_gradients_leave_red_marks(tmp_path):
    def red(path):
        r, g, b = np.moveaxis(pixels(path).astype(int), -1, 0)
        return int(((r > 120) & (g < 60) & (b < 80)).sum())

    healthy, faulty = table(4), table(4)
    faulty["mean_abs"][2] = faulty["max_abs"][2] = faulty["norm"][2] = 0.0
    for name in ("mean_abs", "max_abs", "norm", "norm_clipped"):
        faulty[name][0] = np.nan
    faulty["missing"][0] = True
    picture = FlowPicture(MARKS)
    picture.draw(healthy, 1, tmp_path / "healthy.png")
    picture.draw(faulty, 2, tmp_path / "faulty.png")
    assert red(tmp_path / "faulty.png") > red(tmp_path / "healthy.png") + 40


def test_columns_stand_in_forward_order():
    columns, groups = grouped(table(3))
    assert columns == ["linear_1", "linear_2", "0", "1", "2"]
    assert groups["projector"].x.tolist() == [0, 1]
    assert np.round(groups["lora_B"].x).tolist() == [2, 3, 4]
    nothing = table(2)
    nothing["mean_abs"][:] = nothing["norm"][:] = np.nan
    assert (grouped(nothing)[1]["lora_A"]["mean"] == 0).all()


def test_a_step_without_any_gradient_can_be_drawn(tmp_path):
    empty = table(2)
    for name in ("mean_abs", "max_abs", "norm", "norm_clipped"):
        empty[name][:] = 0.0
    FlowPicture(MARKS).draw(empty, 1, tmp_path / "empty.png")
    assert (tmp_path / "empty.png").is_file()
