from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from lmol.errors import DataError
from lmol.evaluation.figures import DPI, THUMBNAIL, save, thumbnail, titled

pytestmark = pytest.mark.pictures


def test_a_figure_has_its_size_and_the_same_bytes_twice(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        save(Figure(figsize=(2.0, 3.0)), tmp_path / name)
    with Image.open(tmp_path / "one.png") as image:
        assert image.size == (2 * DPI, 3 * DPI)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_thumbnail_is_the_middle_square(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    image.save(tmp_path / "wide.png")
    pixels = np.asarray(thumbnail(str(tmp_path / "wide.png")))
    assert pixels.shape == (THUMBNAIL, THUMBNAIL, 3)
    assert (pixels[:, 5:-5] == [0, 0, 255]).all()


def test_what_is_no_image_has_no_thumbnail(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(DataError, match="not an image"):
        thumbnail(str(tmp_path / "a.png"))


def test_a_dollar_sign_in_a_name_is_a_dollar_sign(tmp_path: Path) -> None:
    figure = Figure()
    titled(figure.add_subplot(), "group $a_{$", "x", "y")
    save(figure, tmp_path / "dollar.png")
