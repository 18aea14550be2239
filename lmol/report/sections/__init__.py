"""Sections of a page in their order, each made from the page's subject."""

from __future__ import annotations

from collections.abc import Callable

from lmol.report.blocks import Section
from lmol.report.recipes import Subject
from lmol.report.sections.answers import calibration_section, confusion_section, gap_section
from lmol.report.sections.comparing import comparison_section
from lmol.report.sections.curves import curves_section
from lmol.report.sections.environment import environment_section
from lmol.report.sections.hardest import hardest_section
from lmol.report.sections.headline import headline_section
from lmol.report.sections.health import health_section
from lmol.report.sections.images import ranking_section, subgroup_section
from lmol.report.sections.settings import settings_section

SECTIONS: tuple[Callable[[Subject], Section | None], ...] = (
    headline_section,
    comparison_section,
    settings_section,
    curves_section,
    confusion_section,
    gap_section,
    calibration_section,
    ranking_section,
    subgroup_section,
    hardest_section,
    health_section,
    environment_section,
)
"""A function returns None if its section has no content."""
