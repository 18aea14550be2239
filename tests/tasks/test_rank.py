"""task=rank and task=compare: any images, with few questions, and a message where it cannot be."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

from lmol.workflow.tables import table_of_ranking

PAIRINGS = ("all", "random", "adaptive", "reference")


@pytest.fixture
def photos(trained, faces):
    """A folder of 20 faces that the run has not seen."""
    folder = Path("photos/below")
    folder.mkdir(parents=True)
    for path in faces["path"][:20]:
        shutil.copy(path, folder)
    Path("photos/notes.txt").write_text("not an image")
    return Path("photos")


@pytest.mark.pictures
@pytest.mark.parametrize("pairing", PAIRINGS)
def test_a_folder_is_ranked(command, photos, pairing):
    settings = ("task=rank", "images=photos", f"ranking.pairing={pairing}", "hydra.run.dir=rank")
    assert command(*settings, "ranking.pairs_per_image=6") == (0, "")
    ranking = pd.read_csv("rank/ranking.csv")
    assert list(ranking.columns) == ["image", "strength", "stderr", "estimate", "rank"]
    assert set(ranking["image"]) == {str(p.relative_to("photos")) for p in photos.rglob("*.png")}
    assert ranking["strength"].is_monotonic_decreasing
    assert ranking["strength"].mean() == pytest.approx(0, abs=1e-9)
    asked = len(pd.read_csv("rank/comparisons.csv"))
    rows = 20 + 5  # five validation images of the run take part as references
    expected = {"all": rows * (rows - 1) // 2, "random": rows * 3, "reference": 20 * 5}
    assert asked <= rows * 3 if pairing == "adaptive" else asked == expected[pairing]
    assert Path("rank/plots/ranked.png").stat().st_size > 10_000


def test_without_images_the_held_out_ones_are_ranked(command, trained):
    assert command("task=rank", "ranking.pairing=all", "ranking.references=0", "threads=1",
                   "hydra.run.dir=rank") == (0, "")  # fmt: skip
    before = pd.read_csv(trained / "ranking.csv").drop(columns="estimate")
    pd.testing.assert_frame_equal(pd.read_csv("rank/ranking.csv"), before, atol=1e-5)
    found = json.loads(Path("rank/metrics.json").read_text())
    assert (found["images"], found["pairs"]) == (12, 66)
    assert "pearson" in found


def test_a_table_with_scores_is_correlated_with_them(command, photos, faces):
    table = faces[:20].assign(image=lambda t: "below/" + t["image"])
    table[["image", "score"]].to_csv("photos/scores.csv", index=False)
    assert command("task=rank", "images=photos/scores.csv", "hydra.run.dir=rank") == (0, "")
    found = json.loads(Path("rank/metrics.json").read_text())
    ranking = pd.read_csv("rank/ranking.csv")
    assert found["pearson"] == pytest.approx(ranking["score"].corr(ranking["strength"]))
    assert Path("rank/plots/ranking.png").is_file()


def test_scored_images_that_were_trained_on_are_refused(command, trained, photos, trained_once):
    [known] = (trained_once / "outputs/data/synthetic").iterdir()
    images = pd.read_csv(trained / "images.csv")
    seen = images.loc[images["part"] == "train", "image"].iloc[0]
    shutil.copy(known / seen, photos / "renamed.png")
    Path("photos/scores.csv").write_text("image,score\nrenamed.png,3\n")
    code, errors = command("task=rank", "images=photos/scores.csv")
    assert code == 2
    assert f"renamed.png is {seen}" in errors
    assert "rank without the column score" in errors
    assert command("task=rank", "images=photos", "hydra.run.dir=unscored") == (0, "")


def test_images_of_the_same_content_are_judged_once_and_share_their_rank(command, photos):
    first = next(photos.rglob("*.png"))
    shutil.copy(first, "photos/copy.png")
    settings = ("task=rank", "images=photos", "ranking.pairing=all", "hydra.run.dir=rank")
    assert command(*settings) == (0, "")
    ranking = pd.read_csv("rank/ranking.csv").set_index("image")
    twins = ranking.loc[["copy.png", str(first.relative_to("photos"))]]
    assert twins["rank"].nunique() == twins["strength"].nunique() == 1
    assert len(ranking) == 21
    assert len(pd.read_csv("rank/comparisons.csv")) == 25 * 24 // 2


def test_files_of_other_kinds_and_strange_names_do_no_harm(command, photos, capsys):
    Path("photos/paper.pdf").write_text("%PDF")
    first, second = sorted(photos.rglob("*.png"))[:2]
    strange = [first.rename(photos / "old [red].png"), second.rename(photos / "a$_{b$.png")]
    assert command("task=rank", "images=photos", "hydra.run.dir=rank") == (0, "")
    assert len(pd.read_csv("rank/ranking.csv")) == 20
    names = ",".join(f"'{path}'" for path in strange)
    code, errors = command("task=compare", f"images=[{names}]", "hydra.run.dir=answer")
    assert (code, errors) == (0, "")


def test_names_are_shown_as_they_are():
    console = Console(width=100, record=True)
    table = pd.DataFrame({"rank": [1], "image": ["old [red].png"], "strength": [0.5]})
    console.print(table_of_ranking(table))
    assert "old [red].png" in console.export_text()


def empty_folder():
    Path("empty").mkdir()
    return "images=empty", "no image in empty"


def one_image():
    path = next(Path("photos").rglob("*.png"))
    Path("one").mkdir()
    shutil.copy(path, "one/a.png")
    return "images=one", "one image"


def the_same_image_twice():
    _, _ = one_image()
    shutil.copy("one/a.png", "one/b.png")
    return "images=one", "one image and 1 with the same content"


def no_such_file():
    return "images=[nowhere.png,nothing.png]", "nowhere.png: missing"


def no_image():
    Path("text.png").write_text("text")
    return "images=[text.png]", "not an image"


def twice_the_same_name():
    path = next(Path("photos").rglob("*.png"))
    return f"images=[{path},{path}]", "more than once"


def table_without_images():
    Path("bad.csv").write_text("picture\na.png\n")
    return "images=bad.csv", "bad.csv:1: got no column image; read were 'picture'"


def table_with_a_word_for_a_score():
    path = next(Path("photos").rglob("*.png"))
    Path("bad.csv").write_text(f"image,score\n{path},good\n")
    return "images=bad.csv", "bad.csv:2: got score 'good'; expected a finite number"


def table_with_an_infinite_score():
    one, other = [str(path) for path in Path("photos").rglob("*.png")][:2]
    Path("bad.csv").write_text(f"image,score\n{one},inf\n{other},2\n")
    return "images=bad.csv", "bad.csv:2: got score 'inf'; expected a finite number"


BAD = (
    table_with_an_infinite_score,
    empty_folder,
    one_image,
    the_same_image_twice,
    no_such_file,
    no_image,
    twice_the_same_name,
    table_without_images,
    table_with_a_word_for_a_score,
)


@pytest.mark.parametrize("bad", BAD)
def test_images_that_cannot_be_ranked_are_reported_in_one_message(command, photos, bad):
    images, message = bad()
    code, errors = command("task=rank", images, "ranking.references=0", "hydra.run.dir=rank")
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors
    assert not Path("rank/ranking.csv").exists()


def test_two_images_are_ranked(command, trained):
    for index in range(2):
        Image.new("RGB", (40, 40), (90 * index, 0, 0)).save(f"{index}.png")
    settings = ("task=rank", "images=[0.png,1.png]", "ranking.references=0", "hydra.run.dir=rank")
    assert command(*settings) == (0, "")
    assert len(pd.read_csv("rank/ranking.csv")) == 2


def test_comparisons_that_leave_images_apart_are_an_error_that_names_them(command, photos):
    settings = ("ranking.pairing=random", "ranking.pairs_per_image=1")
    code, errors = command("task=rank", "images=photos", *settings)
    assert code == 2
    assert "separate components" in errors
    assert "raise ranking.pairs_per_image" in errors


def test_reference_pairing_needs_references(command, photos):
    settings = ("ranking.pairing=reference", "ranking.references=0")
    code, errors = command("task=rank", "images=photos", *settings)
    assert code == 2
    assert "at least one reference" in errors


def test_two_images_are_compared(command, photos, capsys):
    first, second = sorted(photos.rglob("*.png"))[:2]
    settings = ("task=compare", f"images=[{first},{second}]", "hydra.run.dir=answer")
    assert command(*settings) == (0, "")
    answer = json.loads(Path("answer/comparison.json").read_text())
    assert answer["verdict"] in ("First", "Second", "Similar")
    assert answer["First"] + answer["Second"] + answer["Similar"] == pytest.approx(1)
    assert Path("answer/plots/comparison.png").is_file()


@pytest.mark.parametrize("images", ["null", "a.png", "[a.png]", "[a.png,b.png,c.png]"])
def test_any_other_number_of_images_is_refused(command, trained, images):
    code, errors = command("task=compare", f"images={images}")
    assert code == 2
    assert "two images to compare" in errors
