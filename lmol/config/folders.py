"""runs=a,b on the command line: a list of folders, whatever characters their names have."""

from __future__ import annotations

import re

RUNS = re.compile(r"(\+*runs)=(.+)", re.DOTALL)
QUOTES = "'\""
SPECIAL = re.compile(r"(\\*)('|\$\{|$)")
"""What a quoted value of Hydra's would read otherwise: a quote, an interpolation, its own end."""


def folder_list(override: str) -> str:
    """runs=a,b becomes a list of quoted texts; a list in brackets and null stay, as all else does.

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
    """As Hydra reads back the same text: backslashes count only before what is special."""
    escaped = SPECIAL.sub(lambda found: found[1] * 2 + _escaped(found[2]), text)
    return f"'{escaped}'"


def _escaped(special: str) -> str:
    return f"\\{special}" if special else ""
