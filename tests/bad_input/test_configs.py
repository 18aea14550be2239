"""Configurations with any value at any key: valid, or refused with the key."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from lmol.cli.mistakes import MISTAKES, mistake_of
from lmol.config import Config, check, load_config
from lmol.config.groups import CONF
from lmol.config.keys import tree_keys
from tests.bad_input.attempts import FULL, KEYS, SIZES, Attempts

PREPARE = "task=prepare"
MISSING = object()

WRONG = [MISSING, float("nan"), -1e308, {"a": 1}, "text"]
"""Values that every key gets: none, no number, out of range, two of a wrong type."""

OTHERS = [
    "", " ", "3", "nan", "true", "null", "???", "${seed}", "${nowhere}", "${oc.env:NOWHERE_X}",
    "${oc.env}", "${name}", "\0", "\udcff", "x" * 5000, "a/b", "~", "0m", "1.5m", "%", "(", 0, -1,
    1, 2, 0.5, 1.0000001, 1e308, 1e-320, 2**32, 2**63, 10**30, 10**400, True, False, None, b"bytes",
    float("inf"), -float("inf"), [], [1], ["a"], [None], [[["x"]]], {}, {1: 2},
    {"_target_": "os.system"}, {"_target_": "lmol.nowhere.X"}, {"_target_": "lmol.run.main"},
    {"_target_": ""}, {"_target_": None}, {"a": {"b": {"c": 1}}}, {"": 1},
]  # fmt: skip
"""Values that some keys get, drawn at random."""

OVERRIDES = [
    "", "=", "a", "=1", "seed", "seed=", "seed=1=2", "seed=[", "seed={", "seed='", "seed=${",
    "seed=${x}",
    "~seed", "~", "++", "+seed=1", "seed=1,2", "seed=range(3)", "seed=choice(1)", "seed=\0", "é=1",
    "fold=", "fold=0", "fold=nan", "fold=[1", "fold=1,", "fold=99999999999999999999",
    "data=nowhere",
    "data=../data/csv", "data@x=csv", "+recipe=nowhere", "+recipe", "model/x=y", "task=", "task=.",
    "task=null", "hydra.run.dir=", "hydra/launcher=nowhere", "hydra.x=1", "runs=,", "runs='a",
    "run=\0",
    "images=[a,[b]]", "images={a:1}", "model._target_=os.system", "model=[]", "data.source={}",
    "data.source._target_=lmol.run.main", "optim=1", "optim={lr:1}", "train.health.rules=1",
    "train.health.rules.x.y=1", "audit.rules=[1]", "audit.rules.dead_unit=", "a.b.c.d=1", "." * 50,
    "seed=" + "9" * 5000, "seed=" + "[" * 200, "name=" + "x" * 100_000,
]  # fmt: skip
"""Arguments of the command line."""


def composed(*overrides: str) -> dict[str, Any]:
    with initialize_config_module(CONF, version_base="1.3"):
        values = OmegaConf.to_container(compose("config", list(overrides)))
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values, each group before its own keys."""
    for key, value in values.items():
        yield prefix + key, value
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{key}.")


def changed(values: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    values = copy.deepcopy(values)
    node, (*groups, name) = values, key.split(".")
    for group in groups:
        node = node[group]
    node[name] = value
    if value is MISSING:
        del node[name]
    return values


def places(values: dict[str, Any], key: str) -> list[str]:
    """A key, the groups that it is in, and the keys whose values refer to it."""
    parts = key.split(".")
    groups = [".".join(parts[:end]) + ": got" for end in range(1, len(parts))]
    return [key, *groups, *(other for other, value in dotted(values) if value == f"${{{key}}}")]


def is_typed(key: str, values: dict[str, Any]) -> bool:
    """Return whether a key is of the tree, and neither a swappable node nor below one."""
    parts = key.split(".")
    nodes = [".".join(parts[: end + 1]) for end in range(len(parts))]
    targets = {
        name for name, value in dotted(values) if isinstance(value, dict) and TARGET in value
    }
    return key in tree_keys() and not targets & set(nodes)


TARGET = "_target_"


@pytest.mark.parametrize("num_cases", SIZES)
def test_values(tmp_path: Path, attempts: Callable[[str, Path], Attempts], num_cases: int) -> None:
    attempt, rng = attempts("configurations", tmp_path), random.Random(0)
    table = ("data=csv", "data.root=x", "data.source.table=t.csv")
    bases = [composed("task=train"), composed(PREPARE, *table)]
    keys = [[key for key, _ in dotted(base)] for base in bases]
    planned = [(0, key, value) for key in keys[0] for value in WRONG]
    others = [(n, key, value) for n in (0, 1) for key in keys[n] for value in OTHERS]
    planned += rng.sample(others, max(FULL - len(planned), 300))
    if num_cases < FULL:
        planned = rng.sample(planned, num_cases)
    for number, key, value in planned:
        values = changed(bases[number], key, value)
        fault = "missing" if value is MISSING else type(value).__name__
        found = attempt(fault, partial(read, values), places(bases[number], key))
        refused = value is MISSING or isinstance(value, dict) or value != value
        if refused and is_typed(key, bases[number]):
            assert found is None, f"{key} = {value} is accepted"


def read(values: dict[str, Any]) -> Config:
    """Check values as a file of YAML gives them; OmegaConf itself refuses a broken ${."""
    return check(OmegaConf.create(values), quick=True)


@pytest.mark.parametrize("num_cases", SIZES)
def test_arguments(
    tmp_path: Path, attempts: Callable[[str, Path], Attempts], num_cases: int
) -> None:
    attempt = attempts("arguments", tmp_path)
    for text in OVERRIDES if num_cases >= FULL else OVERRIDES[::8]:
        key = text.partition("=")[0].strip("+~")
        attempt("argument", partial(load, text), (KEYS, "argument", "configuration", key))


def load(argument: str) -> None:
    """Compose and check; Hydra's own errors become messages as in the command."""
    try:
        load_config(PREPARE, argument)
    except MISTAKES as error:
        mistake = mistake_of(error)
        assert mistake is not None
        raise mistake from error
