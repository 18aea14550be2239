"""No image name of a table leads out of the data root, unless the command allows it."""

import os
import time
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from lmol.data.file_places import real_files, refuse_outside
from lmol.data.preparation import load_data
from lmol.data.sources.score_table import ScoreTable
from lmol.errors import DataError
from tests.tasks.conftest import Command


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A data root with two images, and one beside it."""
    monkeypatch.chdir(tmp_path)
    for place, name in enumerate(("data/a.png", "data/b.png", "private/c.png")):
        Path(name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (90 * place, 0, 0)).save(name)
    return Path("data")


def loaded(root: Path, *names: str, within: Path | None = None) -> list[str]:
    rows = [f"{name},{place + 1}" for place, name in enumerate(names)]
    (root / "t.csv").write_text("\n".join(["image,score", *rows]) + "\n")
    source = ScoreTable(root=root, table=Path("t.csv"), min_score=1, max_score=5)
    return load_data(source, within or root).images["image"].tolist()


def test_an_absolute_name_is_refused_by_name_and_file(root, tmp_path):
    name = str(tmp_path / "private/c.png")
    with pytest.raises(DataError, match=f"1 of 3 .* below data: {name} is .*private/c.png"):
        loaded(root, "a.png", "b.png", name)


@pytest.mark.parametrize("name", ["../private/c.png", "sub/../../private/c.png"])
def test_dots_are_refused(root, name):
    (root / "sub").mkdir()
    with pytest.raises(DataError, match=r"data\.outside=true"):
        loaded(root, "a.png", "b.png", name)


@pytest.mark.parametrize(("place", "name"), [("c.png", "c.png"), ("folder", "folder/c.png")])
def test_links_are_refused(root, place, name):
    target = Path("private") / ("c.png" if place == "c.png" else "")
    (root / place).symlink_to(target.absolute())
    with pytest.raises(DataError, match=f"{name} is .*/private/c.png"):
        loaded(root, "a.png", "b.png", name)


def test_the_root_may_be_a_link_and_names_may_lead_back(root, tmp_path):
    Path("here").symlink_to(root)
    (root / "alias.png").symlink_to("b.png")
    names = ["../data/a.png", "alias.png", str(tmp_path / "data/t.png")]
    Image.new("RGB", (8, 8), "blue").save(root / "t.png")
    assert loaded(Path("here"), *names) == sorted(names)


def test_a_name_beside_the_root_does_not_count_as_in_it(root):
    Path("data2").mkdir()
    Image.new("RGB", (8, 8), "blue").save("data2/d.png")
    with pytest.raises(DataError, match=r"data2/d\.png"):
        loaded(root, "a.png", "../data2/d.png")


def test_a_setting_allows_them(root, command: Command):
    names = ["a.png", "b.png", "../private/c.png", *(f"../private/{n}.png" for n in range(27))]
    for place in range(27):
        Image.new("RGB", (8, 8), (0, place, 9)).save(f"private/{place}.png")
    rows = [f"{name},{1 + place % 5}" for place, name in enumerate(names)]
    (root / "scores.csv").write_text("\n".join(["image,score", *rows]) + "\n")
    prepare = ("task=prepare", "data=csv", "data.root=data", "data.schedule.num_pairs=12",
               "train.batch_pairs=4", "fold.k=3", "hydra.run.dir=run")  # fmt: skip
    code, errors = command(*prepare)
    assert code == 2
    assert "28 of 30 whose file is not below" in errors
    assert not (Path("run/pairs")).exists()
    assert command(*prepare, "data.outside=true", "hydra.run.dir=again") == (0, "")


def test_it_is_cheap_for_a_large_data_set(tmp_path):
    folder = tmp_path / "a/b/c/d"
    folder.mkdir(parents=True)
    paths = [str(folder / f"{number}.jpg") for number in range(5500)]
    images = pd.DataFrame({"image": paths, "path": paths})
    start = time.process_time()
    refuse_outside(images, pd.Series(real_files(paths)), tmp_path)
    assert time.process_time() - start < 1.0
    assert real_files(paths[:9]) == [os.path.realpath(path) for path in paths[:9]]
