"""Score tables, label files and releases with any fault: read, or refused with file and line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from lmol.config.choices import FoldKind
from lmol.config.schema import FoldConfig
from lmol.data.contents import refuse_leaks
from lmol.data.data_set import Source, data_hash
from lmol.data.folds import split_folds
from lmol.data.pictures import picture_table
from lmol.data.preparation import load_data
from lmol.data.sources.label_file import read_labels
from lmol.data.sources.score_table import ScoreTable
from lmol.data.sources.scut import ScutFBP5500
from tests.bad_input.attempts import SIZES, Attempts, cases
from tests.data.sources.scut_release import lists_of, write_release

NUM_IMAGES = 8

CELLS = [
    "", " ", "nan", "inf", "-inf", "1e999", "-0", "0", "5.01", "1,5", "1_0", "٣", "+3", "0x3", "3 ",
    "true", "None", '"', '""', "'", '"3', "#", "\\", "a.png", "sub/../a.png", "../a.png", ".", "..",
    "/", "~", "/etc/passwd", "\0", "a\0.png", "\x1a", "\x0b", "\x85", "\u2028", "\ufeff", "\ufffd",
    "é.png", "e\u0301.png", "x" * 300, "x" * 200_000, "9" * 5000, "1e-400", "\ud83d", "=1+1", ";",
    "|", "\t", "\r", "\n", "\r\n", "image", "score", "{}", "%s", "${data.root}", "pkg://lmol",
]  # fmt: skip
"""Texts that are no name or no number, or only just."""

WHOLE_FILES = [
    b"", b"\n", b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xff", b"PK\x03\x04" + bytes(40),
    b"%PDF-1.7\n", b"\x80\x04}q\x00.", b"image,score", b"image,score\n", b"image,score\r\r\n\r",
    b"score,image\n", b"image;score,group\n", b'"image","score"\n"a.png', b"image,image,score\n",
    b"\xef\xbb\xbf\xef\xbb\xbfimage,score\na.png,3\n", "image,score\na.png,3\n".encode("utf-16"),
    "image,score\né.png,3\n".encode("latin-1"), b"image,score\n" + b"," * 300_000,
    b"image,score\n" + b"\n" * 5000, b"," * 5000, b'"' * 5001, b"[" * 100_000, b"a.png 3\0\n",
]  # fmt: skip
"""Files that are no tables, or empty ones, or in another encoding."""

Edit = tuple[str, int, int, str]

edits = st.lists(
    st.tuples(
        st.sampled_from(["cell", "cut", "insert", "drop line", "repeat line", "header", "byte"]),
        st.integers(0, 60),
        st.integers(0, 3),
        st.one_of(st.sampled_from(CELLS), st.text(max_size=12), st.floats().map(repr)),
    ),
    min_size=1,
    max_size=3,
)


def edited(lines: list[str], sign: str, changes: list[Edit]) -> bytes:
    """The lines of a table after some changes, as bytes."""
    whole = [line.split(sign) for line in lines]
    for kind, row, column, text in changes:
        row, column = row % len(whole), column % len(whole[0] or [""])
        if kind == "header":
            whole[0][column % len(whole[0])] = text
        elif kind == "cell":
            whole[row][column % len(whole[row])] = text
        elif kind == "cut":
            whole[row] = whole[row][:column] or [""]
        elif kind == "insert":
            whole[row].insert(column, text)
        elif kind == "repeat line":
            whole.insert(row, list(whole[row]))
        elif kind == "drop line" and len(whole) > 1:
            whole.pop(row)
    data = ("\n".join(sign.join(row) for row in whole) + "\n").encode("utf-8", "surrogatepass")
    flips = [(row * 7 + column) % len(data) for kind, row, column, _ in changes if kind == "byte"]
    for place in flips:
        data = data[:place] + bytes([data[place] ^ 0x90]) + data[place + 1 :]
    return data


def prepare(source: Source) -> None:
    """Do with a source what task=prepare does before it draws pairs."""
    data = load_data(source)
    folds = FoldConfig(
        kind=FoldKind.SEEDED, index=1, k=2, seed=0, validation=0.2, allow_duplicates=False
    )
    for split in split_folds(source, data.images, folds):
        refuse_leaks(split)
    data_hash(data.images)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(NUM_IMAGES):
        Image.new("RGB", (4, 4), (30 * number, 0, 0)).save(tmp_path / f"{chr(97 + number)}.png")
    return tmp_path


ROWS = [f"{chr(97 + number)}.png,{1 + number / 2},g,{number % 4}" for number in range(NUM_IMAGES)]
TABLE = ["image,score,group,person", *ROWS]


@pytest.mark.parametrize("num_cases", SIZES)
def test_score_tables(
    folder: Path, attempts: Callable[[str, Path], Attempts], num_cases: int
) -> None:
    attempt, file = attempts("score tables", folder), folder / "scores.csv"
    file.touch()

    def both(fault: str, content: bytes, subject: str | None) -> None:
        file.write_bytes(content)
        source = ScoreTable(
            root=folder, table=Path("scores.csv"), min_score=1, max_score=5, subject=subject
        )
        places = (file, "images: got", "fold.k: got", "fold 1: got", "fold 2: got")
        attempt(fault, lambda: prepare(source), places)
        attempt(fault, lambda: picture_table(file), (file, "images: got"))

    @cases(num_cases // 2)
    @given(changes=edits, sign=st.sampled_from(",;\t|"), subject=st.sampled_from([None, "person"]))
    def edit(changes: list[Edit], sign: str, subject: str | None) -> None:
        lines = [line.replace(",", sign) for line in TABLE]
        both("edited", edited(lines, sign, changes), subject)

    edit()
    for content in WHOLE_FILES:
        both("no table", content, None)
    for cell in CELLS:
        both("one cell", edited(TABLE, ",", [("cell", 3, 0, cell)]), None)
        both("one cell", edited(TABLE, ",", [("cell", 3, 1, cell)]), "person")


@pytest.mark.parametrize("num_cases", SIZES)
def test_label_files(
    tmp_path: Path, attempts: Callable[[str, Path], Attempts], num_cases: int
) -> None:
    attempt, file = attempts("label files", tmp_path), tmp_path / "labels.txt"
    file.touch()
    lines = [f"AF{number}.jpg {1 + number / 3:.6f}" for number in range(10)]

    def read(fault: str, content: bytes) -> None:
        file.write_bytes(content)
        attempt(fault, lambda: read_labels(file, 1.0, 5.0), (f"{file}:",))

    @cases(num_cases)
    @given(changes=edits)
    @example(changes=[("cell", 0, 0, "\0")])
    def edit(changes: list[Edit]) -> None:
        read("edited", edited(lines, " ", changes))

    edit()
    for content in WHOLE_FILES:
        read("no labels", content)


@pytest.mark.parametrize("num_cases", SIZES)
def test_releases(
    tmp_path: Path, attempts: Callable[[str, Path], Attempts], num_cases: int
) -> None:
    """Any of the lists is edited, and files of the release are missing."""
    attempt = attempts("SCUT releases", tmp_path)
    root = write_release(tmp_path / "release")
    source = ScutFBP5500(root=root)
    lists = [root / "train_test_files" / "All_labels.txt", *lists_of(root, 1), *lists_of(root, 5)]
    folds = FoldConfig(
        kind=FoldKind.OFFICIAL, index=1, k=5, seed=0, validation=0.2, allow_duplicates=False
    )

    def read(fault: str, places: tuple[object, ...]) -> None:
        def call() -> None:
            split_folds(source, source.load().images, folds)

        attempt(fault, call, places)

    @cases(num_cases)
    @given(changes=edits, number=st.integers(0, len(lists) - 1))
    def edit(changes: list[Edit], number: int) -> None:
        whole = lists[number].read_bytes()
        lists[number].write_bytes(edited(whole.decode().splitlines(), " ", changes))
        try:
            read("edited list", (root / "train_test_files",))
        finally:
            lists[number].write_bytes(whole)

    edit()
    for path in lists:
        path.rename(path.with_suffix(".gone"))
        read("missing list", (root,))
        path.mkdir()
        read("folder in place of a list", (root,))
        path.rmdir()
        path.with_suffix(".gone").rename(path)
    shutil.rmtree(root / "Images")
    read("no images", (root,))
