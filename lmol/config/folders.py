"""The override runs=a,b: a list of folders, with any characters in their names."""

from __future__ import annotations

import re

RUNS = re.compile(r"(\+*runs)=(.+)", re.DOTALL)
QUOTES = "'\""
SPECIAL = re.compile(r"(\\*)('|\$\{|$)")
"""Characters with a meaning inside a quoted value of Hydra: a quote, an interpolation, the end."""


def folder_list(override: str) -> str:
    """Return runs=a,b as a list of quoted texts; null, a list in brackets and all else unchanged.

    The whole value may stand in quotes. A folder with a comma in its name needs brackets.
    """
    found = RUNS.fullmatch(override)
    if found is None or found[2] == "null" or found[2].startswith("["):
        return override
    value = found[2]
    if len(value) > 1 and value[0] in QUOTES and value[-1] == value[0]:
        value = value[1:-1]
    folders = [folder for folder in value.split(",") if folder]
    return f"{found[1]}=[{','.join(map(_quoted, folders))}]"


def _quoted(text: str) -> str:
    """Quote a text for Hydra; backslashes are doubled only before a special character."""
    escaped = SPECIAL.sub(lambda found: found[1] * 2 + _escaped(found[2]), text)
    return f"'{escaped}'"


def _escaped(special: str) -> str:
    return f"\\{special}" if special else ""
