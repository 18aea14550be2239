"""The gravest mistakes, as a table and as a contact sheet of their images.

A mistake is graver if the scores of the two images are farther apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lmol.evaluation.answers import PROBABILITIES
from lmol.evaluation.figures import GREY, ORANGE, save, shortened, thumbnail
from lmol.verdict import SCORE_DECIMALS, TITLES, Verdict

COLUMNS = 3
"""Pairs side by side on the sheet."""

CELL = (4.2, 2.95)
"""Width and height of a pair in inches."""

HEADER = 0.6
"""Height of the title above the first row, in inches."""

SIDE, GUTTER = 1.9, 0.08
"""Side of an image, and distance between the two of a pair, in inches."""

SCORES = ("score1", "score2")


def hardest_pairs(predictions: pd.DataFrame, pairs: pd.DataFrame, num: int = 12) -> pd.DataFrame:
    """Return at most `num` wrongly answered pairs, the gravest first, no image twice.

    predictions: as in predictions.csv, both orders averaged; pairs: the judged table with the same
    rows. Columns img1, img2, score1 and score2 if known, label, pred, p_first, p_second, p_similar.
    """
    assert predictions[["img1", "img2"]].equals(pairs[["img1", "img2"]].reset_index(drop=True))
    wrong = np.flatnonzero(predictions["pred"].to_numpy() != predictions["label"].to_numpy())
    columns = [name for name in ("img1", "img2", *SCORES) if name in pairs]
    scores = pairs[columns].iloc[wrong].reset_index(drop=True)
    answers = predictions[["label", "pred", *PROBABILITIES]].iloc[wrong].reset_index(drop=True)
    return gravest(pd.concat([scores, answers], axis=1), num)


def gravest(mistakes: pd.DataFrame, num: int) -> pd.DataFrame:
    """Return the first `num` mistakes by gravity, no image twice, with all of their columns.

    First for Second, or Second for First, comes before mistakes that involve Similar; then larger
    score gaps come first, and for equal gaps the more probable wrong answer.
    """
    similar = Verdict.SIMILAR.title
    reversed_order = (mistakes["label"] != similar) & (mistakes["pred"] != similar)
    confidence = mistakes[PROBABILITIES].max(axis=1)
    scored = set(SCORES) <= set(mistakes)
    signed = mistakes["score1"] - mistakes["score2"] if scored else 0.0 * confidence
    gap = np.round(signed.abs(), SCORE_DECIMALS)
    order = np.lexsort((-confidence, -gap, ~reversed_order))
    kept: list[int] = []
    seen: set[str] = set()
    for row in order:
        images = {mistakes["img1"].iloc[row], mistakes["img2"].iloc[row]}
        if not images & seen:
            kept.append(int(row))
            seen |= images
        if len(kept) == num:
            break
    return mistakes.iloc[kept].reset_index(drop=True)


def plot_hardest_pairs(table: pd.DataFrame, image_paths: Mapping[str, str], path: Path) -> None:
    """Draw a contact sheet: both images of each pair above their scores, label and answer.

    table: from hardest_pairs; image_paths: file of each image id. A row has COLUMNS pairs of CELL
    inches; without mistakes, one row says so. Raises DataError if a file is no image.
    """
    columns, rows = min(COLUMNS, max(len(table), 2)), max(1, -(-len(table) // COLUMNS))
    size = (columns * CELL[0], rows * CELL[1] + HEADER)
    figure = Figure(figsize=size)
    titles = {0: "No mistake", 1: "The only mistake"}
    title = titles.get(len(table), f"The {len(table)} gravest mistakes")
    _write(figure, size[0] / 2, size[1] - 0.22, title, fontsize=13)
    if table.empty:
        message = "All pairs were answered as their label says."
        _write(figure, size[0] / 2, size[1] / 2, message, fontsize=12, color=GREY)
    for place, (_, pair) in enumerate(table.iterrows()):
        row, column = divmod(place, COLUMNS)
        _draw_pair(figure, column * CELL[0], (rows - 1 - row) * CELL[1], pair, image_paths)
    save(figure, path)


def _draw_pair(
    figure: Figure, left: float, low: float, pair: pd.Series, image_paths: Mapping[str, str]
) -> None:
    """Draw a pair into its cell, whose lower left corner is at `left` and `low`, in inches."""
    for place, name in enumerate(("1", "2")):
        x = left + (CELL[0] - 2 * SIDE - GUTTER) / 2 + place * (SIDE + GUTTER)
        _place_picture(figure, x, low + 0.98, thumbnail(image_paths[pair[f"img{name}"]]))
        score = f": {pair[f'score{name}']:.2f}" if f"score{name}" in pair else ""
        text = shortened(f"{pair[f'img{name}']}{score}", 26)
        _write(figure, x + SIDE / 2, low + 0.83, text, fontsize=9)
    middle = left + CELL[0] / 2
    answer = f"label {pair['label']}, answer {pair['pred']}"
    _write(figure, middle, low + 0.56, answer, fontsize=11, color=ORANGE)
    shares = ", ".join(
        f"{title} {pair[column]:.2f}" for title, column in zip(TITLES, PROBABILITIES, strict=True)
    )
    _write(figure, middle, low + 0.32, shares, fontsize=9, color=GREY)


def _place_picture(figure: Figure, x: float, y: float, picture: Any) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes((x / width, y / height, SIDE / width, SIDE / height))
    axes.imshow(picture)
    axes.set_axis_off()


def _write(figure: Figure, x: float, y: float, text: str, **style: Any) -> None:
    width, height = figure.get_size_inches()
    style |= {"ha": "center", "va": "center", "parse_math": False}
    figure.text(x / width, y / height, text, **style)
