"""Configuration of the recipes: the settings that differ."""

from __future__ import annotations

from lmol.report.blocks import Cell, Section, Table, Text
from lmol.report.numbers import DASH
from lmol.report.recipes import Subject

DIFFERENT = (
    "Settings that are not the same in all recipes; bold where a recipe differs from the first. "
    "All others are equal. Folds, paths of results, tracking and display settings are left out."
)
ABSENT = object()


def settings_section(subject: Subject) -> Section:
    """Return a row per differing setting, a column per recipe."""
    recipes = subject.recipes
    keys = list(dict.fromkeys(key for recipe in recipes for key in recipe.settings))
    rows = []
    for key in keys:
        values = [recipe.settings.get(key, ABSENT) for recipe in recipes]
        if any(value != values[0] for value in values):
            rows.append([Cell(text=key), *(_cell(value, values[0]) for value in values)])
    if rows:
        columns = ("setting", *(recipe.label for recipe in recipes))
        block: Table | Text = Table(caption=DIFFERENT, columns=columns, rows=rows)
    elif len(recipes) > 1:
        block = Text(sentences=["All recipes have the same settings."])
    else:
        name = recipes[0].label if recipes else "none"
        block = Text(sentences=[f"One recipe, {name}: nothing to compare its settings with."])
    return Section(key="settings", title="Settings that differ", blocks=[block])


def _cell(value: object, first: object) -> Cell:
    text = DASH if value is ABSENT else "null" if value is None else str(value)
    return Cell(text=text, strong=value != first)
