"""The most confident mistakes of each recipe, with pictures where the files are still there."""

from __future__ import annotations

import pandas as pd

from lmol.report.blocks import Block, Gallery, Photo, PhotoPair, Section, Text
from lmol.report.pictures import photo_uri
from lmol.report.recipes import Recipe
from lmol.report.runs import ReportedRun
from lmol.report.subject import Subject
from lmol.verdict import TITLES

SHOWN = 6
"""Pairs a recipe."""

CAPTION = (
    "Wrong answers with the largest probability, of all folds: what the scores say, what the model "
    "said, and its probabilities of First, Second and Similar (both orders averaged)."
)
SHARES = [f"p_{title.lower()}" for title in TITLES]


def hardest_section(subject: Subject) -> Section | None:
    """A gallery a recipe; None where no run has the table, or makes no mistake."""
    galleries: list[Block] = [
        Gallery(heading=recipe.label, pairs=pairs)
        for recipe in subject.finished
        if (pairs := hardest(recipe))
    ]
    if not galleries:
        return None
    return Section(
        key="hardest", title="Hardest pairs", blocks=[*galleries, Text(sentences=[CAPTION])]
    )


def hardest(recipe: Recipe) -> list[PhotoPair]:
    """The most confident mistakes over all folds."""
    found = []
    for run in recipe.runs:
        table = run.table("diagnosis/hardest_pairs.csv")
        for _, row in table.iterrows() if table is not None else ():
            found.append((float(row[SHARES].max()), run, row))
    found.sort(key=lambda item: -item[0])
    chosen = found[:SHOWN]
    files = {run.path: _files(run) for _, run, _ in chosen}
    return [_pair(run, row, files[run.path]) for _, run, row in chosen]


def _files(run: ReportedRun) -> dict[str, str]:
    """File of each image; empty where the run did not write them down."""
    images = run.table("images.csv")
    if images is None or "path" not in images:
        return {}
    return dict(zip(images["image"].astype(str), images["path"].astype(str), strict=True))


def _pair(run: ReportedRun, row: pd.Series, files: dict[str, str]) -> PhotoPair:
    photos = [
        Photo(
            name=str(row[f"img{side}"]),
            score=f"{row[f'score{side}']:.2f}",
            uri=photo_uri(files.get(str(row[f"img{side}"]))),
        )
        for side in (1, 2)
    ]
    shares = ", ".join(
        f"{title} {row[share]:.2f}" for title, share in zip(TITLES, SHARES, strict=True)
    )
    told = f"fold {run.fold}: label {row['label']}, answer {row['pred']}"
    return PhotoPair(photos=photos, told=told, shares=shares)
