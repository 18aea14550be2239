"""Self-contained HTML file: styles, script, drawings and pictures are part of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lmol import __version__
from lmol.config.paths import shown
from lmol.report.numbers import listed
from lmol.report.recipes import Subject
from lmol.report.sections import SECTIONS

MOST_NAMED = 4
"""Maximum number of recipes named in the title; a longer list is only counted."""


def render_page(subject: Subject, made: datetime) -> str:
    """Return the page as HTML. made: time shown below the title."""
    sections = [section for make in SECTIONS if (section := make(subject)) is not None]
    assert len({section.key for section in sections}) == len(sections), "two sections, one anchor"
    environment = Environment(
        loader=PackageLoader("lmol.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    page = environment.get_template("template.html.j2").render(
        title=title_of([recipe.label for recipe in subject.recipes]),
        about=about(subject, made),
        sections=sections,
        style=_own("page.css"),
        script=_own("page.js"),
    )
    return shown(page)


def title_of(labels: Sequence[str]) -> str:
    """Return the title: the recipes, or their number."""
    if len(labels) > MOST_NAMED:
        return f"{len(labels)} recipes compared"
    return f"Report: {listed(labels)}" if labels else "Report"


def about(subject: Subject, made: datetime) -> str:
    """Return a sentence with the numbers of recipes and runs, and the time made."""
    runs = sum(len(recipe.runs) for recipe in subject.recipes)
    left_out = f", {len(subject.left_out)} left out" if subject.left_out else ""
    recipes = f"{len(subject.recipes)} recipe{'s' if len(subject.recipes) != 1 else ''}"
    return (
        f"{recipes}, {runs} finished run{'s' if runs != 1 else ''}{left_out}. Made by "
        f"task=report of lmol {__version__}, {made:%d %B %Y, %H:%M}."
    )


def _own(name: str) -> Markup:
    """Read a file of this package; it holds no user text and is not escaped."""
    return Markup(files("lmol.report").joinpath(name).read_text(encoding="utf-8"))
