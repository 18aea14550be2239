"""The gravest mistakes of each recipe, with pictures if the image files still exist."""

from __future__ import annotations

import pandas as pd

from lmol.evaluation.hardest_pairs import SCORES, gravest
from lmol.report.blocks import Block, Gallery, Photo, PhotoPair, Section, Text
from lmol.report.pictures import photo_uri
from lmol.report.recipes import Recipe, Subject
from lmol.report.runs import ReportedRun
from lmol.system.files import is_inside
from lmol.verdict import TITLES

SHOWN = 6
"""Pairs per recipe."""

CAPTION = (
    "Wrong answers of all folds: first those that prefer the image with the lower score, then by "
    "the gap of the scores, no image twice. Each shows the label, the answer of the model, "
    "and its probabilities of First, Second and Similar (both orders averaged)."
)
Files = dict[str, tuple[str, str]]
"""File and content of each image, by its name."""

SHARES = [f"p_{title.lower()}" for title in TITLES]


def hardest_section(subject: Subject) -> Section | None:
    """Return a gallery per recipe; None if no run has the table, or makes a mistake."""
    galleries: list[Block] = [
        Gallery(heading=recipe.label, pairs=pairs)
        for recipe in subject.finished
        if (pairs := hardest(recipe))
    ]
    if not galleries:
        return None
    blocks = [*galleries, Text(sentences=[CAPTION])]
    return Section(key="hardest", title="Hardest pairs", blocks=blocks)


def hardest(recipe: Recipe) -> list[PhotoPair]:
    """Return the gravest mistakes over all folds."""
    texts = ["img1", "img2", "label", "pred"]
    found = recipe.table("diagnosis/hardest_pairs.csv", texts, SHARES)
    if found is None:
        return []
    scores = [name for name in SCORES if name in found]
    found[scores] = found[scores].apply(pd.to_numeric, errors="coerce")
    chosen = gravest(found, SHOWN)
    files = {place: _files(recipe.runs[place]) for place in chosen["run"].unique()}
    rows = [row for _, row in chosen.iterrows()]
    return [_pair(recipe.runs[row["run"]], row, files[row["run"]]) for row in rows]


def _files(run: ReportedRun) -> Files:
    """Return file and content of each image; empty if the run did not record them."""
    columns = ["image", "path", "content"]
    images = run.table("images.csv", columns)
    if images is None:
        return {}
    names, paths, contents = (images[key].astype(str) for key in columns)
    return dict(zip(names, zip(paths, contents, strict=True), strict=True))


def _photo(run: ReportedRun, name: str, files: Files) -> str | None:
    """Return the picture of an image below the run's data root; None if it is not there."""
    path, content = files.get(name, ("", ""))
    file, root = run.place(path), run.data_root
    if root is None or not is_inside(file, root) or not file.is_file():
        return None
    return photo_uri(str(file), content)


def _pair(run: ReportedRun, row: pd.Series, files: Files) -> PhotoPair:
    photos = [
        Photo(
            name=str(row[f"img{side}"]),
            score=f"{row[f'score{side}']:.2f}" if f"score{side}" in row else "",
            uri=_photo(run, str(row[f"img{side}"]), files),
        )
        for side in (1, 2)
    ]
    shares = ", ".join(
        f"{title} {row[share]:.2f}" for title, share in zip(TITLES, SHARES, strict=True)
    )
    caption = f"fold {run.fold}: label {row['label']}, answer {row['pred']}"
    return PhotoPair(photos=photos, caption=caption, shares=shares)
