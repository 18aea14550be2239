"""The page of somebody else's run: every text is escaped; no picture of this machine is shown."""

import base64
import json
import re
from datetime import datetime, timezone
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from lmol.config.paths import shown
from lmol.data.contents import content_hash
from lmol.data.images import open_rgb
from lmol.report.blocks import Table
from lmol.report.listing import listed_runs, table_of_runs
from lmol.report.online import markdown
from lmol.report.page import render_page
from lmol.report.recipes import subject_of
from lmol.report.runs import reported_runs
from lmol.report.sections.hardest import hardest
from lmol.report.sections.headline import headline_section
from lmol.system.files import write_text
from tests.hostile.conftest import change
from tests.report.run_folders import make_run

ODD = (
    "</script></title></style><script>window.hit = 1</script><img src=x onerror='window.hit=1'>\"'`"
)
TERMINAL = "\x1b]0;evil\x07\x00\ud800"
MADE = datetime(2026, 11, 29, tzinfo=timezone.utc)


def page_of(*folders: Path) -> str:
    return render_page(subject_of(reported_runs(list(map(str, folders)))), MADE)


class Tags(HTMLParser):
    """The tags of a page and their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def hostile(values: Any, text: str) -> Any:
    """Return values with another text in each text of them, and in each of their keys."""
    if isinstance(values, dict):
        return {f"{key}": hostile(value, text) for key, value in values.items()} | {text: text}
    if isinstance(values, list):
        return [hostile(value, text) for value in values]
    return f"{values}{text}" if isinstance(values, str) else values


KEPT = ("status", "task", "cwd")
FINDING = {
    "rule": ODD, "severity": ODD, "found": ODD, "helps": ODD, "actions": [ODD], "times": 2,
    "first_step": 1, "last_step": 3,
}  # fmt: skip


@pytest.fixture
def two(tmp_path):
    """Two runs whose every text is hostile, and that differ in many settings."""
    runs = []
    for place in (1, 2):
        run = make_run(tmp_path / f"{place}<b>x<b>", name=ODD, image=f"{ODD}.png", lr=float(place))
        kept = json.loads((run / "manifest.json").read_text())
        odd = hostile(kept, ODD) | {key: kept[key] for key in KEPT}
        odd |= {"health": {"steps": 3, "findings": [FINDING]}, "swept": {ODD: f"{ODD}{place}"}}
        odd |= {"wandb": {"id": ODD, "notes": ODD, "project": ODD, "entity": ODD}}
        (run / "manifest.json").write_text(json.dumps(odd))
        settings = {f"x{ODD}": f"{place}{ODD}", "group": f"{place}{ODD}"}
        change(run / "config.yaml", partial(_add, settings))
        _spoil_tables(run)
        runs.append(run)
    return runs


def _add(settings: dict[str, Any], values: dict[str, Any]) -> None:
    values |= {**settings, "tracking": {"notes": ODD}}


def _spoil_tables(run: Path) -> None:
    for name, columns in {
        "diagnosis/subgroups.csv": ["group"],
        "diagnosis/hardest_pairs.csv": ["label", "pred"],
    }.items():
        table = pd.read_csv(run / name)
        table[columns] = table[columns] + ODD
        table.to_csv(run / name, index=False)


def test_every_text_of_a_run_is_escaped(two):
    page = page_of(*two)
    known = {tag for tag, _ in Tags(page_of(make_run(two[0].parent / "plain"))).tags}
    tags = Tags(page).tags
    assert [tag for tag, _ in tags].count("script") == 1
    assert {tag for tag, _ in tags} <= known | {"ul", "li", "small", "circle"}
    assert not [a for _, attrs in tags for a in attrs if a.startswith("on")]
    assert "window.hit" in page
    assert "<script>window" not in page
    assert all(str(a.get("src", "data:")).startswith("data:") for _, a in tags)


def test_a_failed_run_of_hostile_texts_is_escaped_too(two):
    change(two[1] / "manifest.json", lambda m: m.update(status=f"failed {ODD}", error=ODD))
    page = page_of(*two)
    assert "Runs that are not part of these means" in page
    assert page.count("<script>") == 1


def test_names_that_steer_a_terminal_or_are_no_utf8_are_shown_as_such(tmp_path):
    run = make_run(tmp_path / "outputs/a/run", name=f"n{TERMINAL}")
    page = page_of(run)
    write_text(tmp_path / "page.html", page)
    assert shown(TERMINAL) == "\\x1b]0;evil\\x07\\x00\\ud800"
    assert shown(TERMINAL) in page
    wanted = type("Wanted", (), {"task": None, "name": None, "status": None})()
    entries = listed_runs(tmp_path / "outputs", wanted)
    cells = "".join(map(str, table_of_runs(entries, tmp_path).columns[0].cells))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\ud800]", cells)


def test_a_table_for_wandb_has_no_tags(two):
    [table, *_] = headline_section(subject_of(reported_runs(list(map(str, two))))).blocks
    assert isinstance(table, Table)
    text = markdown(table)
    assert "&lt;script&gt;" in text
    assert "<" not in text


def photos(run: Path) -> int:
    """Return the number of photographs in the page of a run."""
    [recipe] = subject_of(reported_runs([str(run)])).finished
    uris = [photo.uri for pair in hardest(recipe) for photo in pair.photos]
    assert len(uris) == 4
    return sum(uri is not None for uri in uris)


def test_pictures_of_the_run_are_shown(tmp_path):
    assert photos(make_run(tmp_path / "run")) == 3


def private(tmp_path: Path) -> Path:
    file = tmp_path / "private/me.png"
    file.parent.mkdir()
    Image.new("RGB", (64, 64), (1, 200, 3)).save(file)
    return file


@pytest.mark.parametrize("root", ["pictures", "/", "..", None])
@pytest.mark.parametrize("way", ["absolute", "dots", "link"])
def test_a_picture_of_this_machine_is_not_shown(tmp_path, root, way):
    """Not even if the run recorded another data root: it does not know the picture's content."""
    run, file = make_run(tmp_path / "run"), private(tmp_path)
    (run / "pictures/link.png").symlink_to(file)
    table = pd.read_csv(run / "images.csv")
    ways = {"absolute": str(file), "dots": "pictures/../../private/me.png"}
    table["path"] = ways.get(way, str(run / "pictures/link.png"))
    table.to_csv(run / "images.csv", index=False)
    change(run / "config.yaml", lambda c: c["data"].update(root=root))
    assert photos(run) == 0
    table.drop(columns="content").to_csv(run / "images.csv", index=False)
    assert photos(run) == 0


def test_a_picture_outside_of_the_data_root_is_not_shown_though_the_run_knows_it(tmp_path):
    run, file = make_run(tmp_path / "run"), private(tmp_path)
    table = pd.read_csv(run / "images.csv").assign(path=str(file))
    table.assign(content=content_hash(open_rgb(file))).to_csv(run / "images.csv", index=False)
    assert photos(run) == 0
    change(run / "config.yaml", lambda c: c["data"].update(root=str(file.parent)))
    assert photos(run) == 4


def test_a_plot_that_is_a_link_is_not_shown(tmp_path):
    run, file = make_run(tmp_path / "run"), private(tmp_path)
    charts = r'<img src="data:image/png;base64,([^"]+)'
    [drawn] = re.findall(charts, page_of(run))
    assert base64.b64decode(drawn).startswith(b"\x89PNG")
    (run / "audit/gradient_flow_step_200.png").symlink_to(file)
    assert re.findall(charts, page_of(run)) == []
