"""Check of the composed values: they become a typed Config, or all problems are reported."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import is_dataclass, replace
from functools import cache
from typing import Any, get_type_hints

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from lmol.config.groups import CONF, packaged_options
from lmol.config.keys import did_you_mean, group_of, target_keys, tree_keys
from lmol.config.paths import read_paths, shown
from lmol.config.problems import problems_of
from lmol.config.rule_list import AUDIT_RULES, HEALTH_RULES
from lmol.config.rules import broken_rules
from lmol.config.schema import Config, Target
from lmol.config.targets import normalised, target_missing, target_problems
from lmol.config.task_kinds import WITHOUT_MODEL
from lmol.errors import ConfigError, LmolError

COMPLETED_BY_PROGRAM = "train"

REFERENCE = re.compile(r"\$\{([\w.]+)\}")
"""An interpolation that is the value of another setting."""


def check(values: DictConfig, *, quick: bool = False) -> Config:
    """Return the typed configuration. Raises ConfigError with all problems of the values.

    quick, or if there are other problems: classes that import torch (which takes seconds) are not
    checked; problems of their arguments are reported once the other values are valid.
    """
    problems: list[LmolError] = []
    plain = _resolved(values, "", problems)
    _add_rule_defaults(plain)
    problems += read_paths(plain)
    config, mistyped = _typed(plain)
    problems += _without_repeats(mistyped, problems)
    problems += broken_rules(_valid_groups(plain))
    problems += _of_targets(plain, heavy="torch" in sys.modules or not (problems or quick))
    if problems or config is None:
        raise ConfigError(_causes(problems, values))
    return replace(config, model=normalised(config.model))


def _add_rule_defaults(plain: dict[str, Any]) -> None:
    """Complete the rules of audit and health; YAML and overrides set only some of their values."""
    for key, rules in (("audit.rules", AUDIT_RULES), ("train.health.rules", HEALTH_RULES)):
        group, name = group_of(plain, key)
        given = group.get(name)
        if isinstance(given, dict):  # a value that is not a group is reported elsewhere
            for rule in rules:
                if isinstance(given.setdefault(rule.name, {}), dict):
                    given[rule.name] = rule.defaults() | given[rule.name]


def _causes(problems: list[LmolError], values: DictConfig) -> list[LmolError]:
    """Leave out a value that is wrong only because it refers by ${...} to another wrong value."""
    wrong = {problem.where for problem in problems}
    raw = dict(_leaves(OmegaConf.to_container(values, resolve=False), ""))
    followed = {key: found[1] for key in wrong if (found := REFERENCE.fullmatch(str(raw.get(key))))}
    return [problem for problem in problems if followed.get(problem.where) not in wrong]


def _leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and their values as written, with interpolations."""
    if not isinstance(node, dict):
        yield key, node
        return
    for name, value in node.items():
        yield from _leaves(value, f"{key}.{name}" if key else str(name))


def _resolved(node: Any, key: str, problems: list[LmolError]) -> Any:
    """Return plain dictionaries and lists; a value that cannot be resolved becomes a problem."""
    if isinstance(node, ListConfig):
        return [_resolved(node[index], f"{key}.{index}", problems) for index in range(len(node))]
    if not isinstance(node, DictConfig):
        return _writable(node, key, problems)
    plain: dict[str, Any] = {}
    for name in map(str, node):
        where = f"{key}.{name}" if key else name
        try:
            plain[name] = _resolved(node[name], where, problems)
        except OmegaConfBaseException as error:
            problems.append(_unresolved(node, name, where, error))
    return plain


def _writable(value: Any, key: str, problems: list[LmolError]) -> Any:
    """Return a value; a text that UTF-8 cannot hold becomes a problem, and the text a shown one."""
    try:
        if isinstance(value, str):
            value.encode()
    except UnicodeEncodeError:
        problems.append(
            LmolError(
                key,
                got=f"{shown(value)}, which is not UTF-8",
                expected="text that results can hold, which are written as UTF-8",
                remedy="write it in UTF-8",
            )
        )
        return shown(value)
    return value


def _unresolved(node: DictConfig, name: str, where: str, error: Exception) -> LmolError:
    if OmegaConf.is_missing(node, name):
        remedy = f"give it on the command line: {where}=..."
        return LmolError(where, got="???", expected="a value", remedy=remedy)
    raw = OmegaConf.to_container(node, resolve=False)
    assert isinstance(raw, dict)
    return LmolError(
        where,
        got=raw.get(name),
        expected="an interpolation that has a value",
        remedy=str(error).splitlines()[0],
    )


def _typed(plain: dict[str, Any]) -> tuple[Config | None, list[LmolError]]:
    try:
        return _validated(Config, plain), []
    except ValidationError as error:
        return None, problems_of(error, plain, "", tree_keys())


def _valid_groups(plain: dict[str, Any]) -> dict[str, Any]:
    """Return the typed groups without problems, so that the rules about them can be checked."""
    groups = {}
    for name, kind in get_type_hints(Config).items():
        if kind == Target and isinstance(plain.get(name), dict):
            groups[name] = plain[name]
        elif is_dataclass(kind) and name in plain:
            with suppress(ValidationError):
                groups[name] = _validated(kind, plain[name])
    return groups


def _validated(kind: Any, plain: Any) -> Any:
    """Validate strictly as JSON: "3" is not a number and true is not 1, but fp32 is a Precision."""
    return _adapter(kind).validate_json(json.dumps(plain, default=str), strict=True)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _without_repeats(mistyped: list[LmolError], problems: list[LmolError]) -> list[LmolError]:
    """Leave out values that are missing only because they could not be resolved."""
    known = {problem.where for problem in problems}
    return [problem for problem in mistyped if problem.where not in known]


def _of_targets(plain: dict[str, Any], *, heavy: bool) -> Iterator[LmolError]:
    task = plain.get("task")
    name = task.get("name") if isinstance(task, dict) else None
    yield from _of_task(name)
    for key in target_keys():
        group = key.partition(".")[0]
        holder, node = group_of(plain, key)
        target = holder.get(node)
        deep = heavy and name not in WITHOUT_MODEL
        if not isinstance(target, dict) or (group == COMPLETED_BY_PROGRAM and not deep):
            continue
        if "_target_" not in target:
            yield target_missing(key)
        else:
            complete = group != COMPLETED_BY_PROGRAM
            yield from target_problems(key, target, complete=complete, nested=deep)


def _of_task(name: object) -> Iterator[LmolError]:
    names = packaged_options(CONF)["task"]
    if isinstance(name, str) and name not in names:
        remedy = did_you_mean(name, names)
        yield LmolError("task.name", got=name, expected="a task of LMOL", remedy=remedy)
