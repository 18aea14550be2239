"""The order of the rows in a table has no effect on any result."""

import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from lmol.data.images import open_rgb
from tests.tasks.conftest import SMALL

OWN = (
    "data=csv",
    "data.root=.",
    "data.outside=true",
    "data.question='Which face looks more attractive?'",
    *(setting for setting in SMALL if not setting.startswith("data.source")),
)
RESULTS = ("predictions.csv", "ranking.csv", "confusion.csv", "images.csv", "trainable.csv")


@pytest.fixture
def tables(faces, tmp_path):
    """One set of scores, drawn up in three orders; beside each image its group and its person."""
    folder = Path(faces["path"][0]).parent
    for name in faces["image"]:
        (tmp_path / name).symlink_to(folder / name)
    faces = faces[["image", "score", "group"]]
    orders = {
        "shuffled.csv": faces.sample(frac=1, random_state=3),
        "ascending.csv": faces.sort_values("score"),
        "descending.csv": faces.sort_values("score", ascending=False),
    }
    for name, table in orders.items():
        table.to_csv(tmp_path / name, index=False)
    return list(orders)


def results(folder):
    metrics = json.loads((folder / "metrics.json").read_text())
    manifest = json.loads((folder / "manifest.json").read_text())
    timeless = {name: value for name, value in metrics.items() if not name.endswith("_seconds")}
    weights = (folder / "checkpoints/last/adapter_model.safetensors").read_bytes()
    tables = {name: (folder / name).read_text() for name in RESULTS}
    tables |= {file.name: file.read_text() for file in (folder / "pairs").iterdir()}
    known = {key: manifest[key] for key in ("data_hash", "split_hash", "near_duplicates")}
    return timeless, weights, tables, known


def test_training_and_evaluation_do_not_depend_on_the_order_of_the_table(command, tables):
    for table in tables:
        assert command(*OWN, f"data.source.table={table}", f"hydra.run.dir={table[:-4]}")[0] == 0
    one, *others = [results(Path(table[:-4])) for table in tables]
    for other in others:
        assert other == one
    assert one[0]["accuracy_first"] is not None
    assert one[0]["accuracy_second"] is not None


def test_a_ranking_does_not_depend_on_the_order_of_the_table(command, trained, tables):
    for table in tables:
        pd.read_csv(table)[["image"]].to_csv(table, index=False)
        rank = ("task=rank", f"images={table}", "ranking.pairs_per_image=6")
        assert command(*rank, f"hydra.run.dir=rank_{table}")[0] == 0
    files = ("ranking.csv", "comparisons.csv")
    one, *others = [[Path(f"rank_{table}", name).read_text() for name in files] for table in tables]
    assert all(other == one for other in others)


def test_identical_pictures_share_a_rank_whatever_their_files_are(
    command, trained, faces, tmp_path
):
    (tmp_path / "photos").mkdir()
    for row, path in enumerate(faces["path"][:6]):
        open_rgb(path).save(tmp_path / f"photos/{row}.png")
    Image.open(tmp_path / "photos/4.png").save(tmp_path / "photos/four.bmp")
    assert command("task=rank", "images=photos", "hydra.run.dir=rank")[0] == 0
    ranking = pd.read_csv("rank/ranking.csv").set_index("image")
    assert ranking["rank"]["four.bmp"] == ranking["rank"]["4.png"]
    assert ranking["rank"].nunique() == 6


def test_a_picture_in_two_formats_on_both_sides_of_a_split_is_refused(command, faces, tmp_path):
    rows = []
    for row, (path, score) in enumerate(zip(faces["path"], faces["score"], strict=True)):
        for end in ("png", "bmp"):
            open_rgb(path).save(tmp_path / f"{row}.{end}")
            rows.append((f"{row}.{end}", score))
    pd.DataFrame(rows, columns=["image", "score"]).to_csv("scores.csv", index=False)
    code, errors = command(*OWN, "hydra.run.dir=run")
    assert code == 2
    assert "that are trained on" in errors
    assert not Path("run/checkpoints").exists()


def test_a_column_keeps_the_pictures_of_a_subject_in_one_fold(command, faces, tmp_path):
    """Each face as PNG and BMP, of one subject each: no part of a fold shares a subject."""
    rows = []
    for row, (path, score) in enumerate(zip(faces["path"], faces["score"], strict=True)):
        for end in ("png", "bmp"):
            open_rgb(path).save(tmp_path / f"{row}.{end}")
            rows.append((f"{row}.{end}", score, f"person {row}"))
    pd.DataFrame(rows, columns=["image", "score", "who"]).to_csv("scores.csv", index=False)
    subject = ("data.source.subject=who", "task=audit", "audit.steps=1")
    assert command(*OWN, *subject, "hydra.run.dir=run")[0] == 0
    parts = pd.read_csv("run/images.csv").groupby("subject")["part"]
    assert parts.nunique().eq(1).all()
    assert parts.size().eq(2).all()
    assert json.loads(Path("run/manifest.json").read_text())["near_duplicates"] == {"1": 0}


def test_near_duplicates_across_a_split_are_counted_and_named(command, faces, tmp_path):
    rows = []
    for row, (path, score) in enumerate(zip(faces["path"], faces["score"], strict=True)):
        open_rgb(path).save(tmp_path / f"{row}.png")
        open_rgb(path).resize((48, 48)).save(tmp_path / f"{row}_small.png")
        rows += [(f"{row}.png", score), (f"{row}_small.png", score)]
    pd.DataFrame(rows, columns=["image", "score"]).to_csv("scores.csv", index=False)
    assert command("task=prepare", *OWN, "hydra.run.dir=run")[0] == 0
    counts = json.loads(Path("run/manifest.json").read_text())["near_duplicates"]
    assert set(counts) == set("12345")
    found = pd.read_csv("run/pairs/near_duplicates_fold1.csv")
    assert len(found) == counts["1"] > 0
    bare = {name: name.replace("_small", "") for name in [*found["image"], *found["known"]]}
    assert found["image"].map(bare).equals(found["known"].map(bare))
    assert "held-out images look like one that is trained on" in Path("run/run.log").read_text()
