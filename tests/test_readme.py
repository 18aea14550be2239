"""The commands of README and docs/ are understood as they stand; links and contents hold."""

import re
import shlex
from pathlib import Path

import pytest

from lmol.config import load_config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
BLOCKS = re.findall(r"^ *```\n(.*?)^ *```", TEXT, flags=re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines()]
COMMANDS = sorted({line.strip() for line in LINES if line.strip().startswith("python -m lmol.run")})


def test_there_are_commands():
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("line", [line for line in COMMANDS if " -m fold" not in line])
def test_a_command_of_the_readme_composes(line):
    overrides = shlex.split(line, comments=True)[3:]
    if not {"--help", "-m"} & set(overrides):
        assert load_config(*overrides).name


@pytest.mark.parametrize("line", [line for line in COMMANDS if " -m fold" in line])
def test_a_sweep_of_the_readme_names_folds(line):
    assert shlex.split(line, comments=True)[3:] == ["-m", "fold=1,2,3,4,5"]


def test_the_front_page_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.replace(" ", "-") for title in kept}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


TABLE = re.compile(r"^\| `(\+?[a-z/]+)=?` \| ([^|]+) \|", re.MULTILINE)


def test_the_table_of_groups_has_every_option():
    """Groups of conf/ and experiments/ and their options, as docs/configuration.md lists them."""
    text = (ROOT / "docs/configuration.md").read_text()
    listed = {group.lstrip("+"): set(names.split(", ")) for group, names in TABLE.findall(text)}
    assert {"task", "model", "train/health", "ablation"} <= listed.keys()
    for group, names in listed.items():
        folders = [ROOT / top / group for top in ("conf", "experiments")]
        files = {path.stem for folder in folders for path in folder.glob("*.yaml")}
        assert names == files, group
