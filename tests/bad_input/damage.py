"""Damage to files: cut, flipped, of another kind, and edits of JSON, YAML and tensors."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from lmol.training.state_files import CHECKSUMS

OTHERS: list[Any] = [
    None, True, False, 0, -1, 1, 2**70, 1.5, float("nan"), float("inf"), "", "text", "tensor:x",
    "0", "\0", "${nowhere}", "${", "../..", "/", [], [1], [[]], ["a", None], {}, {"a": 1}, {"": {}},
]  # fmt: skip
"""Values of every JSON type."""

WHOLE = [
    b"", b"\0", b"{}", b"[]", b"null", b"nan", b"{", b"\xff\xfe", b"[" * 100_000, b"{1: 2}",
    b"- a\n",
    b'{"a":' * 50_000, b"\x08\0\0\0\0\0\0\0{}      ", b"\xff" * 16, pickle.dumps({"a": 1}),
    b"9" * 5000, b"a: 2020-99-99", b"&a [*a]", b"!!python/object:os.system {}", b"? {a: b}\n: c\n",
]  # fmt: skip
"""Contents of other kinds, a pickle among them."""


def damaged_bytes(draw: Callable[[st.SearchStrategy[Any]], Any], whole: bytes) -> bytes:
    """A file that is cut, has flipped bits, or is something else."""
    kind = draw(st.sampled_from(["cut", "flip", "flip", "whole", "more"]))
    place = draw(st.one_of(st.integers(0, 400), st.integers(0, 10**6))) % max(len(whole), 1)
    if kind == "cut" or not whole:
        return whole[:place]
    if kind == "flip":
        bit = 1 << draw(st.integers(0, 7))
        return whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]
    return draw(st.sampled_from(WHOLE)) + (whole if kind == "more" else b"")


def edited_values(draw: Callable[[st.SearchStrategy[Any]], Any], values: Any) -> Any:
    """A copy of nested values in which one is another one, renamed, or missing."""
    values = copy.deepcopy(values)
    node = values
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw(st.sampled_from(keys))
        child = node[key]
        if not (isinstance(child, dict | list) and child) or draw(st.integers(0, 2)) == 0:
            break
        node = child
    change = draw(st.sampled_from(["value", "value", "value", "rename", "remove"]))
    if change == "value" or not isinstance(node, dict):
        node[key] = draw(st.sampled_from(OTHERS))
    else:
        child = node.pop(key)
        if change == "rename":
            node[f"{key}x"] = child
    return values


def edited_text(draw: Callable[[st.SearchStrategy[Any]], Any], file: Path) -> bytes:
    """The content of a JSON or YAML file after an edit of its values."""
    text = file.read_text()
    values = json.loads(text) if file.suffix == ".json" else yaml.load(text, yaml.CSafeLoader)
    return json.dumps(edited_values(draw, values)).encode()  # JSON is YAML too


def edited_table(draw: Callable[[st.SearchStrategy[Any]], Any], file: Path) -> bytes:
    """The content of a CSV file after an edit of a cell."""
    rows = [line.split(",") for line in file.read_text().splitlines()]
    row = rows[draw(st.integers(0, len(rows) - 1))]
    cell = draw(st.integers(0, len(row) - 1))
    row[cell] = draw(st.sampled_from(["", "nan", "inf", "-1", "2", "text", '"', "1e999", "a,b"]))
    return "\n".join(map(",".join, rows)).encode()


def edited_tensors(draw: Callable[[st.SearchStrategy[Any]], Any], file: Path, place: Path) -> None:
    """Write at a place the file's tensors after an edit of one."""
    tensors = load_file(file)
    name = draw(st.sampled_from(sorted(tensors)))
    tensor = tensors.pop(name).clone()
    kind = draw(st.sampled_from(["nan", "inf", "shape", "int", "rename", "remove", "half", "flat"]))
    if kind in ("nan", "inf"):
        tensor.view(-1)[:1] = float(kind) if tensor.is_floating_point() else 0
    elif kind != "remove":
        changes: dict[str, Callable[[], Any]] = {
            "shape": lambda: tensor[..., :-1].contiguous() if tensor.ndim else tensor[None],
            "int": lambda: tensor.int(),
            "half": lambda: tensor.half(),
            "flat": lambda: tensor.flatten(),
            "rename": lambda: tensor,
        }
        tensor = changes[kind]()
    if kind != "remove":
        tensors[f"{name}x" if kind == "rename" else name] = tensor
    save_file(tensors, place, metadata={"names": json.dumps(["a.png", "b.png"])})


def sign(state: Path) -> None:
    """Write the checksums of a state anew, so that its content is read."""
    import hashlib

    sums = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in state.iterdir()
        if file.name != CHECKSUMS
    }
    (state / CHECKSUMS).write_text(json.dumps(sums))
